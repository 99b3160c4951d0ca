{#- What the last day added to each post: its counts now, less those that it had half a day to a day and a half before
    the newest observation, since nights are a day apart, give or take. A post of the last two days that nobody had seen
    by then began at nothing. Posts that the last night did not see are not here. -#}
with clock as (
    select
        previous_day_from,
        {{ before('newest_observed_at', 0.5) }} as night_from,
        {{ before('newest_observed_at', 1.5) }} as previous_night_from
    from {{ ref('int_clock') }}
),

posts as (
    select
        posts.post_uri,
        posts.posted_at,
        posts.engagement_count,
        posts.like_count
    from {{ ref('int_publishable_posts') }} as posts
    inner join clock on posts.last_observed_at > clock.night_from
),

the_day_before as (
    select
        engagement.post_uri,
        max(engagement.observed_at) as observed_at,
        {{ newest_known('engagement.engagement_count', 'engagement.observed_at') }} as engagement_count,
        {{ newest_known('engagement.like_count', 'engagement.observed_at') }} as like_count
    from {{ ref('fct_post_engagement') }} as engagement
    -- Older ones add nothing: the engine need not look through all of history.
    inner join clock
        on engagement.observed_at > clock.previous_day_from and engagement.observed_at <= clock.night_from
    inner join posts on engagement.post_uri = posts.post_uri
    group by engagement.post_uri
)

select
    posts.post_uri,
    case
        when the_day_before.observed_at > clock.previous_night_from
            then posts.engagement_count - the_day_before.engagement_count
        when the_day_before.observed_at is null and posts.posted_at > clock.previous_day_from
            then posts.engagement_count
    end as engagement_growth,
    case
        when the_day_before.observed_at > clock.previous_night_from
            then posts.like_count - the_day_before.like_count
        when the_day_before.observed_at is null and posts.posted_at > clock.previous_day_from
            then posts.like_count
    end as like_growth
from posts
cross join clock
left join the_day_before on posts.post_uri = the_day_before.post_uri
