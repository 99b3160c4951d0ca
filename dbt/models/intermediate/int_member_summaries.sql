{#- What each member who may be published did lately, in numbers. -#}
with clock as (
    select * from {{ ref('int_clock') }}
),

members as (
    select did
    from {{ ref('int_report_members') }}
    where pack_uri = 'all'
),

posts as (
    select * from {{ ref('int_publishable_posts') }}
),

post_counts as (
    select
        posts.author_did as did,
        count(*) as post_count,
        min(posts.posted_at) as first_posted_at,
        sum(posts.engagement_count) as engagement_count,
        sum(case when posts.posted_at > clock.week_from then 1 else 0 end) as posts_last_week,
        sum(
            case
                when posts.posted_at <= clock.week_from and posts.posted_at > clock.previous_week_from then 1
                else 0
            end
        ) as posts_previous_week,
        sum(case when posts.posted_at > clock.month_from then 1 else 0 end) as posts_last_month,
        sum(case when posts.posted_at > clock.month_from then posts.engagement_count end) as engagement_last_month,
        median(case when posts.posted_at > clock.month_from then posts.engagement_count end)
            as median_engagement_last_month,
        quantile_cont(case when posts.posted_at > clock.month_from then posts.engagement_count end, 0.9)
            as ninth_decile_engagement_last_month
    from posts
    cross join clock
    group by posts.author_did
),

repost_counts as (
    select
        reposts.reposter_did as did,
        count(*) as repost_count,
        sum(case when reposts.reposted_at > clock.month_from then 1 else 0 end) as reposts_last_month
    from {{ ref('int_publishable_reposts') }} as reposts
    cross join clock
    group by reposts.reposter_did
),

activity as (
    select
        did,
        max(acted_at) as last_active_at
    from {{ ref('int_member_activity') }}
    group by did
)

select
    members.did,
    cast(coalesce(post_counts.post_count, 0) as bigint) as post_count,
    cast(coalesce(post_counts.engagement_count, 0) as bigint) as engagement_count,
    cast(coalesce(post_counts.posts_last_week, 0) as bigint) as posts_last_week,
    cast(coalesce(post_counts.posts_previous_week, 0) as bigint) as posts_previous_week,
    cast(coalesce(post_counts.posts_last_month, 0) as bigint) as posts_last_month,
    cast(coalesce(post_counts.engagement_last_month, 0) as bigint) as engagement_last_month,
    cast(post_counts.median_engagement_last_month as double) as median_engagement_last_month,
    cast(post_counts.ninth_decile_engagement_last_month as double) as ninth_decile_engagement_last_month,
    cast(coalesce(repost_counts.repost_count, 0) as bigint) as repost_count,
    cast(coalesce(repost_counts.reposts_last_month, 0) as bigint) as reposts_last_month,
    post_counts.first_posted_at,
    activity.last_active_at
from members
left join post_counts on members.did = post_counts.did
left join repost_counts on members.did = repost_counts.did
left join activity on members.did = activity.did
