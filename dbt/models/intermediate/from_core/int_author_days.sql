{{
    config(
        materialized='incremental',
        incremental_strategy='replace_days',
        on_schema_change='fail',
        meta={'input': ['int_posts', 'int_feed_items'], 'counts_states': true},
        post_hook='{{ keep_counted_states() }}'
    )
}}
-- depends_on: {{ ref('int_counted_states') }}
-- depends_on: {{ ref('int_live_posts') }}
-- depends_on: {{ ref('int_unpulled_reposts') }}

{#- A day is counted anew when something of it moved. dbt finds these days first, as everything below asks for them. -#}
{%- if is_incremental() -%}
    {%- set oldest_day = find_days_to_count() -%}
{%- endif %}

with members as (
    select distinct did
    from {{ ref('int_membership_spans') }}
),

-- Whatever each of these holds up to the least of these batches is counted.
inputs as (
    select coalesce(max(batch_number), 0) as batch_number from {{ ref('int_posts') }}
    union all
    select coalesce(max(batch_number), 0) as batch_number from {{ ref('int_feed_items') }}
    union all
    select coalesce(max(batch_number), 0) as batch_number from {{ ref('fct_post_engagement') }}
    union all
    select coalesce(max(batch_number), 0) as batch_number from {{ ref('stg_bluesky__profiles') }}
),

actions as (
    select
        author_did as did,
        posted_date as date_day,
        posted_at as acted_at,
        kind,
        engagement_count,
        {{ nullable('true') }} as is_publishable
    from {{ ref('fct_posts') }}
    where
        posted_at is not null
        and not is_deleted
        and not is_in_doubt
    {% if is_incremental() -%}
        and {{ is_on_day_to_count('author_did', 'posted_date', oldest_day, 'posted_at') }}
    {%- endif %}
    union all
    select
        reposter_did as did,
        reposted_date as date_day,
        reposted_at as acted_at,
        'repost' as kind,
        null as engagement_count,
        is_publishable
    from {{ ref('int_reposts') }}
    where
        reposted_at is not null
    {% if is_incremental() -%}
        and {{ is_on_day_to_count('reposter_did', 'reposted_date', oldest_day, 'reposted_at') }}
    {%- endif %}
),

-- The largest scan of the model: one pass, with `count`, which is twice as fast as a sum of ones.
action_days as (
    select
        did,
        date_day,
        count(case when kind != 'repost' then 1 end) as post_count,
        count(case when kind = 'original' then 1 end) as original_count,
        count(case when kind = 'reply' then 1 end) as reply_count,
        count(case when kind = 'quote' then 1 end) as quote_count,
        count(case when kind = 'repost' then 1 end) as repost_count,
        count(case when kind = 'repost' and is_publishable then 1 end) as publishable_repost_count,
        sum(engagement_count) as engagement_on_posts,
        min(case when kind != 'repost' then acted_at end) as first_posted_at,
        max(case when is_publishable then acted_at end) as last_publishable_at
    from actions
    group by did, date_day
),

profiles as (
    select
        did,
        {{ utc_date('observed_at') }} as date_day,
        followers_count,
        follows_count,
        posts_count,
        row_number() over (
            partition by did, {{ utc_date('observed_at') }}
            order by observed_at desc
        ) as place_of_day
    from {{ ref('stg_bluesky__profiles') }}
),

profile_days as (
    select * from profiles
    where
        place_of_day = 1
    {% if is_incremental() -%}
        and {{ is_on_day_to_count('did', 'date_day', oldest_day) }}
    {%- endif %}
),

engagement_days as (
    select
        author_did as did,
        observed_date as date_day,
        sum(engagement_change) as engagement_gained
    from {{ ref('fct_post_engagement') }}
    where
        engagement_change is not null
    {% if is_incremental() -%}
        and {{ is_on_day_to_count('author_did', 'observed_date', oldest_day) }}
    {%- endif %}
    group by author_did, observed_date
),

days as (
    select
        coalesce(action_days.did, profile_days.did, engagement_days.did) as did,
        coalesce(action_days.date_day, profile_days.date_day, engagement_days.date_day) as date_day,
        profile_days.followers_count,
        profile_days.follows_count,
        profile_days.posts_count as profile_posts_count,
        coalesce(action_days.post_count, 0) as post_count,
        coalesce(action_days.original_count, 0) as original_count,
        coalesce(action_days.reply_count, 0) as reply_count,
        coalesce(action_days.quote_count, 0) as quote_count,
        coalesce(action_days.repost_count, 0) as repost_count,
        coalesce(action_days.publishable_repost_count, 0) as publishable_repost_count,
        cast(coalesce(action_days.engagement_on_posts, 0) as bigint) as engagement_on_posts,
        cast(engagement_days.engagement_gained as bigint) as engagement_gained,
        action_days.first_posted_at,
        action_days.last_publishable_at
    from action_days
    full outer join profile_days on action_days.did = profile_days.did and action_days.date_day = profile_days.date_day
    full outer join engagement_days
        on
            coalesce(action_days.did, profile_days.did) = engagement_days.did
            and coalesce(action_days.date_day, profile_days.date_day) = engagement_days.date_day
)

select
    days.*,
    cast((select min(inputs.batch_number) from inputs) as integer) as batch_number
from days
inner join members on days.did = members.did
