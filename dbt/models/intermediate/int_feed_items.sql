{{ config(materialized='incremental', unique_key=['member_did', 'item_uri'], on_schema_change='fail') }}

with observations as (
    select * from {{ ref('stg_bluesky__author_feed') }}
),

{% if is_incremental() -%}
touched as (
    select distinct
        member_did,
        item_uri
    from observations
    where batch_number > {{ last_batch() }}
),
{%- endif %}

folded as (
    select
        observations.member_did,
        observations.item_uri,
        max(observations.post_uri) as post_uri,
        max(observations.author_did) as author_did,
        bool_or(observations.is_repost) as is_repost,
        -- An edit moves a post to the time at which it was made.
        arg_max(observations.item_at, observations.observed_at) as item_at,
        min(observations.observed_at) as first_observed_at,
        max(observations.observed_at) as last_observed_at,
        max(observations.batch_number) as batch_number
    from observations
    {% if is_incremental() -%}
    inner join touched
        on
            observations.member_did = touched.member_did
            and observations.item_uri = touched.item_uri
    {%- endif %}
    group by observations.member_did, observations.item_uri
)

select * from folded
