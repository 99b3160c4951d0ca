{{ config(materialized='view') }}

{#- Everything that people who may be published did: posts and reposts, with their time. -#}
select
    author_did as did,
    post_uri as item_uri,
    kind,
    posted_at as acted_at,
    posted_date as acted_date,
    engagement_count
from {{ ref('int_publishable_posts') }}
where posted_at is not null
union all
select
    reposter_did as did,
    repost_uri as item_uri,
    'repost' as kind,
    reposted_at as acted_at,
    reposted_date as acted_date,
    null as engagement_count
from {{ ref('int_publishable_reposts') }}
where reposted_at is not null
