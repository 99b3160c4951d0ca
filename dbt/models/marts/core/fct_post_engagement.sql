{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key=['post_uri', 'observed_at'],
        merge_update_condition='DBT_INTERNAL_DEST is distinct from DBT_INTERNAL_SOURCE',
        on_schema_change='fail',
        meta={'input': 'int_posts'}
    )
}}

{#- Of most posts of a first night the lake has one row, which int_posts holds: only the others' rows are grouped. #}
with posts as (
    select
        post_uri,
        author_did,
        posted_at,
        first_observed_at
    from {{ ref('int_posts') }}
    where {{ is_own_post_to_read() }} {%- if not is_incremental() %} and not is_seen_once {%- endif %}
),

feed_items as (
    select * from {{ ref('stg_bluesky__author_feed') }}
    where
        -- Bounds the scan of a night: DuckDB skips the row groups of older files, which are the most.
        observed_at {{ ">= (select min(posts.first_observed_at) from posts)" if is_incremental() else "is not null" }}
        and post_uri in (select posts.post_uri from posts)
),

-- One run can see a post several times: pinned and at its place, posted and reposted by its author, in the feeds of
-- several members. What was seen at one moment is one observation.
observations as (
    select
        post_uri,
        observed_at,
        max(like_count) as like_count,
        max(repost_count) as repost_count,
        max(reply_count) as reply_count,
        max(quote_count) as quote_count,
        max(bookmark_count) as bookmark_count,
        max(source_file) as source_file,
        max(batch_number) as batch_number,
        min(case when member_did = author_did then batch_number end) as own_batch_number
    from feed_items
    group by post_uri, observed_at
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
        observations.source_file,
        observations.batch_number,
        observations.own_batch_number
    from observations
    inner join posts on observations.post_uri = posts.post_uri
),

with_changes as (
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
        source_file,
        -- Newest batch that the row's values come from, its changes and its being here included.
        least(
            greatest(
                batch_number,
                lag(batch_number) over post_history,
                min(own_batch_number) over (partition by post_uri)
            ),
            -- The rows can be ahead of int_posts, where dbt ran a part alone: what that has not read is still to come.
            (select max(all_posts.batch_number) from {{ ref('int_posts') }} as all_posts)
        ) as batch_number
    from of_members
    window post_history as (partition by post_uri order by observed_at)
)

select * from with_changes
{% if not is_incremental() -%}
union all
select
    post_uri,
    author_did,
    last_observed_at as observed_at,
    {{ utc_date('last_observed_at') }} as observed_date,
    {{ hours_between('posted_at', 'last_observed_at') }} as hours_since_posted,
    like_count,
    repost_count,
    reply_count,
    quote_count,
    bookmark_count,
    engagement_count,
    null as previous_observed_at,
    null as like_change,
    null as repost_change,
    null as reply_change,
    null as quote_change,
    null as bookmark_change,
    null as engagement_change,
    source_file,
    batch_number
from {{ ref('int_posts') }}
where is_in_own_feed and is_seen_once and last_observed_at is not null
-- Reports ask for recent observations of young posts: sorted so, DuckDB skips the many old ones of the first night.
order by observed_date, hours_since_posted
{%- endif %}
