{#- Posts that were made or edited since a pull last saw them, and posts that were made and deleted between two pulls. A
    deleted post keeps the last version that the live job received. -#}
with members as (
    select distinct did
    from {{ ref('stg_bluesky__starter_pack_members') }}
),

-- Pulls have seen nearly all versions: the join takes those out before the wide texts are sorted.
newer as (
    select
        events.*,
        pulled.post_uri is not null as is_pulled,
        pulled.post_cid as pulled_cid,
        pulled.posted_at as pulled_posted_at,
        pulled.post_indexed_at,
        pulled.like_count,
        pulled.repost_count,
        pulled.reply_count,
        pulled.quote_count,
        pulled.bookmark_count,
        pulled.engagement_count,
        pulled.labels,
        pulled.first_observed_at,
        pulled.last_observed_at,
        row_number() over (partition by events.uri order by events.rev desc, events.operation desc) as newest_first
    from {{ ref('stg_bluesky__repo_events') }} as events
    inner join members on events.did = members.did
    left join {{ ref('int_posts') }} as pulled on events.uri = pulled.post_uri and pulled.is_in_own_feed
    where
        events.kind = 'commit'
        and events.collection = 'app.bsky.feed.post'
        and events.operation in ('create', 'update')
        and (pulled.post_uri is null or events.event_at > pulled.last_observed_at)
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
        is_pulled,
        pulled_posted_at,
        post_indexed_at,
        like_count,
        repost_count,
        reply_count,
        quote_count,
        bookmark_count,
        engagement_count,
        labels,
        coalesce(first_observed_at, observed_at) as first_observed_at,
        coalesce(last_observed_at, observed_at) as last_observed_at,
        -- The time of an edit's event is not when the post was made.
        least(coalesce(created_at, post_indexed_at, event_at), coalesce(post_indexed_at, event_at)) as posted_at,
        {{ did_of('reply_parent_uri') }} as reply_parent_did,
        coalesce(quoted_uri like '%/app.bsky.feed.post/%', false) as is_quote
    from newer
    -- The same version, which the network told again.
    where newest_first = 1 and (not is_pulled or (cid is distinct from pulled_cid))
)

select
    post_uri,
    post_cid,
    author_did,
    posted_at,
    created_at,
    post_indexed_at,
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
    lower({{ regexp_first(first_element('langs'), '^([A-Za-z]{2,3})') }}) as primary_language,
    reply_parent_uri,
    reply_parent_did,
    reply_root_uri,
    quoted_uri,
    case when is_quote then {{ did_of('quoted_uri') }} end as quoted_did,
    embed_type,
    {{ element_count('media') }} as media_count,
    like_count,
    repost_count,
    reply_count,
    quote_count,
    bookmark_count,
    engagement_count,
    labels,
    self_labels,
    has_issues,
    is_pulled,
    pulled_posted_at,
    first_observed_at,
    last_observed_at,
    source_file,
    file_row_number
from with_addresses
