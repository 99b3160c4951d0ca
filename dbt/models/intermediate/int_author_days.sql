{#- Days of members in numbers, of all that is there; what may be published is told apart. -#}
with members as (
    select distinct did
    from {{ ref('int_membership_spans') }}
),

posts as (
    select * from {{ ref('fct_posts') }}
    where posted_at is not null and not is_deleted
),

reposts as (
    select * from {{ ref('fct_reposts') }}
    where reposted_at is not null and not is_gone
),

publishable_repost_days as (
    select
        reposter_did as did,
        reposted_date as date_day,
        count(*) as publishable_repost_count,
        max(reposted_at) as last_reposted_at
    from {{ ref('int_publishable_reposts') }}
    group by reposter_did, reposted_date
),

profile_days as (
    select
        did,
        {{ utc_date('observed_at') }} as date_day,
        followers_count,
        follows_count,
        posts_count
    from {{ ref('stg_bluesky__profiles') }}
    qualify
        row_number() over (partition by did, {{ utc_date('observed_at') }} order by observed_at desc) = 1
),

post_days as (
    select
        author_did as did,
        posted_date as date_day,
        count(*) as post_count,
        sum(case when kind = 'original' then 1 else 0 end) as original_count,
        sum(case when kind = 'reply' then 1 else 0 end) as reply_count,
        sum(case when kind = 'quote' then 1 else 0 end) as quote_count,
        sum(engagement_count) as engagement_on_posts,
        min(posted_at) as first_posted_at,
        max(posted_at) as last_posted_at
    from posts
    group by author_did, posted_date
),

repost_days as (
    select
        reposter_did as did,
        reposted_date as date_day,
        count(*) as repost_count
    from reposts
    group by reposter_did, reposted_date
),

engagement_days as (
    select
        author_did as did,
        observed_date as date_day,
        sum(engagement_change) as engagement_gained
    from {{ ref('fct_post_engagement') }}
    where engagement_change is not null
    group by author_did, observed_date
),

days as (
    select
        did,
        date_day
    from profile_days
    union
    select
        did,
        date_day
    from post_days
    union
    select
        did,
        date_day
    from repost_days
    union
    select
        did,
        date_day
    from engagement_days
)

select
    days.did,
    days.date_day,
    profile_days.followers_count,
    profile_days.follows_count,
    profile_days.posts_count as profile_posts_count,
    coalesce(post_days.post_count, 0) as post_count,
    cast(coalesce(post_days.original_count, 0) as bigint) as original_count,
    cast(coalesce(post_days.reply_count, 0) as bigint) as reply_count,
    cast(coalesce(post_days.quote_count, 0) as bigint) as quote_count,
    coalesce(repost_days.repost_count, 0) as repost_count,
    coalesce(publishable_repost_days.publishable_repost_count, 0) as publishable_repost_count,
    cast(coalesce(post_days.engagement_on_posts, 0) as bigint) as engagement_on_posts,
    cast(engagement_days.engagement_gained as bigint) as engagement_gained,
    post_days.first_posted_at,
    greatest(
        coalesce(post_days.last_posted_at, publishable_repost_days.last_reposted_at),
        coalesce(publishable_repost_days.last_reposted_at, post_days.last_posted_at)
    ) as last_publishable_at
from days
inner join members on days.did = members.did
left join profile_days on days.did = profile_days.did and days.date_day = profile_days.date_day
left join post_days on days.did = post_days.did and days.date_day = post_days.date_day
left join repost_days on days.did = repost_days.did and days.date_day = repost_days.date_day
left join engagement_days on days.did = engagement_days.did and days.date_day = engagement_days.date_day
left join publishable_repost_days
    on days.did = publishable_repost_days.did and days.date_day = publishable_repost_days.date_day
