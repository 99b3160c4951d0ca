with counts as (
    select
        report_members.pack_uri,
        activity.period,
        count(case when activity.is_in_period and activity.kind != 'repost' then 1 end) as post_count,
        count(case when activity.is_in_period and activity.kind = 'repost' then 1 end) as repost_count,
        count(distinct case when activity.is_in_period then activity.did end) as active_member_count,
        sum(case when activity.is_in_period then activity.engagement_count end) as engagement_on_posts,
        count(case when not activity.is_in_period and activity.kind != 'repost' then 1 end) as previous_post_count,
        count(case when not activity.is_in_period and activity.kind = 'repost' then 1 end) as previous_repost_count,
        count(distinct case when not activity.is_in_period then activity.did end) as previous_active_member_count,
        sum(case when not activity.is_in_period then activity.engagement_count end) as previous_engagement_on_posts
    from {{ ref('int_period_activity') }} as activity
    inner join {{ ref('int_report_members') }} as report_members on activity.did = report_members.did
    group by report_members.pack_uri, activity.period
)

select
    pack_uri,
    period,
    post_count,
    previous_post_count,
    repost_count,
    previous_repost_count,
    active_member_count,
    previous_active_member_count,
    cast(coalesce(engagement_on_posts, 0) as bigint) as engagement_on_posts,
    cast(coalesce(previous_engagement_on_posts, 0) as bigint) as previous_engagement_on_posts
from counts
