{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key=['post_uri', 'observed_at'],
        merge_update_condition='DBT_INTERNAL_DEST is distinct from DBT_INTERNAL_SOURCE',
        on_schema_change='fail'
    )
}}
-- depends_on: {{ ref('base_lake__files') }}

with posts as (
    select
        post_uri,
        author_did,
        posted_at,
        first_observed_at
    from {{ ref('int_posts') }}
    where is_in_own_feed and batch_number > {% if is_incremental() %}{{ last_batch_of_files() }}{% else %}0{% endif %}
),

feed_items as (
    select * from {{ ref('stg_bluesky__author_feed') }}
    {% if is_incremental() -%}
    where
        post_uri in (select posts.post_uri from posts)
        -- So that older files' rows, which are the most, are not looked through.
        and observed_at >= (select min(posts.first_observed_at) from posts)
    {%- endif %}
),

-- As in int_post_observations, but of these posts alone.
observations as (
    select * from {{ post_observations('feed_items') }} as folded
),

of_members as (
    select
        observations.post_uri,
        posts.author_did,
        observations.observed_at,
        {{ hours_between('posts.posted_at', 'observations.observed_at') }} as hours_since_posted,
        observations.like_count,
        observations.repost_count,
        observations.reply_count,
        observations.quote_count,
        observations.bookmark_count,
        {{ engagement('observations.') }} as engagement_count,
        observations.source_file
    from observations
    inner join posts on observations.post_uri = posts.post_uri
)

select
    post_uri,
    author_did,
    observed_at,
    {{ utc_date('observed_at') }} as observed_date,
    hours_since_posted,
    like_count,
    repost_count,
    reply_count,
    quote_count,
    bookmark_count,
    engagement_count,
    lag(observed_at) over post_history as previous_observed_at,
    like_count - lag(like_count) over post_history as like_change,
    repost_count - lag(repost_count) over post_history as repost_change,
    reply_count - lag(reply_count) over post_history as reply_change,
    quote_count - lag(quote_count) over post_history as quote_change,
    bookmark_count - lag(bookmark_count) over post_history as bookmark_change,
    engagement_count - lag(engagement_count) over post_history as engagement_change,
    source_file
from of_members
window post_history as (partition by post_uri order by observed_at)
-- What is asked for is recent, and young: old posts, which only the first night saw, are kept apart.
{% if not is_incremental() %}order by observed_date, hours_since_posted{% endif %}
