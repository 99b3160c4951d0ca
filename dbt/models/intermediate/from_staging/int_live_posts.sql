{#- Posts that were made since the last pull, and posts that were made and deleted between two pulls. A deleted post
    keeps the last version that the live job received. -#}
with members as (
    select distinct did
    from {{ ref('stg_bluesky__starter_pack_members') }}
),

-- Pulled posts are nearly all posts: the anti-join takes them out before the wide texts are sorted.
unseen as (
    select events.*
    from {{ ref('stg_bluesky__repo_events') }} as events
    inner join members on events.did = members.did
    left join {{ ref('int_posts') }} as pulled on events.uri = pulled.post_uri and pulled.is_in_own_feed
    where
        events.kind = 'commit'
        and events.collection = 'app.bsky.feed.post'
        and events.operation in ('create', 'update')
        and pulled.post_uri is null
    qualify row_number() over (partition by events.uri order by events.rev desc) = 1
),

with_addresses as (
    select
        uri as post_uri,
        cid as post_cid,
        did as author_did,
        created_at,
        text,
        langs,
        reply_parent_uri,
        reply_root_uri,
        quoted_uri,
        embed_type,
        media,
        self_labels,
        has_issues,
        observed_at,
        source_file,
        file_row_number,
        least(coalesce(created_at, event_at), event_at) as posted_at,
        {{ did_of('reply_parent_uri') }} as reply_parent_did,
        coalesce(quoted_uri like '%/app.bsky.feed.post/%', false) as is_quote
    from unseen
)

select
    post_uri,
    post_cid,
    author_did,
    posted_at,
    created_at,
    case
        when reply_parent_uri is not null then 'reply'
        when is_quote then 'quote'
        else 'original'
    end as kind,
    reply_parent_uri is not null as is_reply,
    is_quote,
    coalesce(reply_parent_did = author_did, false) as is_self_reply,
    text,
    {{ grapheme_count('text') }} as text_length,
    langs,
    lower({{ regexp_first('langs[1]', '^([A-Za-z]{2,3})') }}) as primary_language,
    reply_parent_uri,
    reply_parent_did,
    reply_root_uri,
    quoted_uri,
    case when is_quote then {{ did_of('quoted_uri') }} end as quoted_did,
    embed_type,
    {{ element_count('media') }} as media_count,
    self_labels,
    has_issues,
    observed_at,
    source_file,
    file_row_number
from with_addresses
