with clock as (
    select * from {{ ref('int_clock') }}
),

posts as (
    select posts.*
    from {{ ref('int_recent_posts') }} as posts
    inner join clock on posts.posted_at > clock.month_from
),

-- A post counts once for a hashtag, however often it names it.
uses as (
    select distinct
        hashtags.hashtag,
        posts.post_uri,
        posts.author_did,
        posts.posted_at > clock.week_from as is_last_week,
        posts.posted_at <= clock.week_from and posts.posted_at > clock.previous_week_from as is_previous_week,
        coalesce(posts.engagement_count, 0) as engagement_count
    from {{ ref('fct_hashtags') }} as hashtags
    inner join posts on hashtags.post_uri = posts.post_uri
    cross join clock
),

counted as (
    select
        report_members.pack_uri,
        uses.hashtag,
        count(*) as posts_last_month,
        cast(sum(case when uses.is_last_week then 1 else 0 end) as bigint) as posts_last_week,
        cast(sum(case when uses.is_previous_week then 1 else 0 end) as bigint) as posts_previous_week,
        count(distinct uses.author_did) as authors_last_month,
        count(distinct case when uses.is_last_week then uses.author_did end) as authors_last_week,
        cast(sum(uses.engagement_count) as bigint) as engagement_last_month
    from uses
    inner join {{ ref('int_report_members') }} as report_members on uses.author_did = report_members.did
    group by report_members.pack_uri, uses.hashtag
)

select
    counted.pack_uri,
    counted.hashtag,
    counted.posts_last_week,
    counted.posts_previous_week,
    counted.posts_last_week - counted.posts_previous_week as change,
    counted.posts_last_month,
    counted.authors_last_week,
    counted.authors_last_month,
    counted.engagement_last_month
from counted
