{#- All that the lake knows of members' posts and reposts, to hold a repository against. A view: only an audit reads it.
    A post that the service hides is in the repository all the same. -#}
{{ config(materialized='view') }}

with gone as (
    select subject_uri
    from {{ ref('int_deletions') }}
    where evidence in ('delete_event', 'record_gone')
),

answers as (
    select * from {{ ref('int_record_answers') }}
    where known_outcome is not null
),

live as (
    select * from {{ ref('int_live_posts') }}
),

posts as (
    select
        pulled.author_did as did,
        pulled.post_uri as uri,
        coalesce(live.post_cid, pulled.post_cid) as cid,
        pulled.last_observed_at
    from {{ ref('int_posts') }} as pulled
    left join live on pulled.post_uri = live.post_uri
    where pulled.is_in_own_feed
    union all
    select
        author_did as did,
        post_uri as uri,
        post_cid as cid,
        last_observed_at
    from live
    where not is_pulled
),

reposts as (
    select
        member_did as did,
        item_uri as uri
    from {{ ref('int_feed_items') }}
    where is_repost
    union
    select
        reposter_did as did,
        repost_uri as uri
    from {{ ref('int_unpulled_reposts') }}
),

records as (
    select
        posts.did,
        posts.uri,
        'app.bsky.feed.post' as collection,
        -- The repository was asked since, and has a version that no feed has shown.
        case when answers.known_at > posts.last_observed_at then coalesce(answers.cid, posts.cid) else posts.cid end
            as cid
    from posts
    left join answers on posts.uri = answers.uri
    union all
    select
        did,
        uri,
        'app.bsky.feed.repost' as collection,
        null as cid
    from reposts
    union all
    -- What answers alone know of: posts that the service does not show, and records that were gone when asked for.
    select
        answers.did,
        answers.uri,
        answers.collection,
        case when answers.collection = 'app.bsky.feed.post' then answers.cid end as cid
    from answers
    left join posts on answers.uri = posts.uri
    left join reposts on answers.uri = reposts.uri
    where posts.uri is null and reposts.uri is null
)

select
    records.did,
    records.uri,
    records.collection,
    records.cid,
    gone.subject_uri is not null as is_gone
from records
left join gone on records.uri = gone.subject_uri
