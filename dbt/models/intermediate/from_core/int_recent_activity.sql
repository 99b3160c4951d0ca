{{ config(materialized='view') }}

select
    author_did as did,
    post_uri as item_uri,
    kind,
    posted_at as acted_at,
    posted_date as acted_date,
    engagement_count
from {{ ref('int_recent_posts') }}
union all
select
    reposts.reposter_did as did,
    reposts.repost_uri as item_uri,
    'repost' as kind,
    reposts.reposted_at as acted_at,
    reposts.reposted_date as acted_date,
    null as engagement_count
from {{ ref('int_publishable_reposts') }} as reposts
inner join {{ ref('int_clock') }} as clock on reposts.reposted_at > clock.recent_from
