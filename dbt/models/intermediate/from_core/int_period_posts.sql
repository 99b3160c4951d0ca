{{ config(materialized='view') }}

{#- The posts in int_period_activity. -#}
select
    period,
    is_in_period,
    item_uri as post_uri,
    did as author_did,
    kind,
    acted_at as posted_at,
    primary_language,
    like_count,
    engagement_count
from {{ ref('int_period_activity') }}
where kind != 'repost'
