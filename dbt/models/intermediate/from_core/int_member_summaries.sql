with clock as (
    select * from {{ ref('int_clock') }}
),

members as (
    select did
    from {{ ref('int_report_members') }}
    where pack_uri = 'all'
),

totals as (
    select
        did,
        sum(post_count) as post_count,
        sum(publishable_repost_count) as repost_count,
        sum(engagement_on_posts) as engagement_count,
        min(first_posted_at) as first_posted_at,
        max(last_publishable_at) as last_active_at
    from {{ ref('int_author_days') }}
    group by did
),

recent as (
    select
        activity.did,
        activity.kind != 'repost' as is_post,
        activity.engagement_count,
        activity.acted_at > clock.week_from as is_last_week,
        activity.acted_at <= clock.week_from and activity.acted_at > clock.previous_week_from as is_previous_week
    from {{ ref('int_recent_activity') }} as activity
    inner join clock on activity.acted_at > clock.month_from
),

recent_counts as (
    select
        did,
        sum(case when is_post and is_last_week then 1 else 0 end) as posts_last_week,
        sum(case when is_post and is_previous_week then 1 else 0 end) as posts_previous_week,
        sum(case when is_post then 1 else 0 end) as posts_last_month,
        sum(case when is_post then 0 else 1 end) as reposts_last_month,
        sum(engagement_count) as engagement_last_month,
        median(engagement_count) as median_engagement_last_month,
        {{ quantile('engagement_count', 0.9) }} as ninth_decile_engagement_last_month
    from recent
    group by did
)

select
    members.did,
    cast(coalesce(totals.post_count, 0) as bigint) as post_count,
    cast(coalesce(totals.engagement_count, 0) as bigint) as engagement_count,
    cast(coalesce(recent_counts.posts_last_week, 0) as bigint) as posts_last_week,
    cast(coalesce(recent_counts.posts_previous_week, 0) as bigint) as posts_previous_week,
    cast(coalesce(recent_counts.posts_last_month, 0) as bigint) as posts_last_month,
    cast(coalesce(recent_counts.engagement_last_month, 0) as bigint) as engagement_last_month,
    cast(recent_counts.median_engagement_last_month as double) as median_engagement_last_month,
    cast(recent_counts.ninth_decile_engagement_last_month as double) as ninth_decile_engagement_last_month,
    cast(coalesce(totals.repost_count, 0) as bigint) as repost_count,
    cast(coalesce(recent_counts.reposts_last_month, 0) as bigint) as reposts_last_month,
    totals.first_posted_at,
    totals.last_active_at
from members
left join totals on members.did = totals.did
left join recent_counts on members.did = recent_counts.did
