{#- Engagement is taken to grow in a straight line between two observations, from zero before the first one. Where the
    counts before are unknown there is no line: a post that reached half there has no half-life. -#}
with engagement as (
    select
        engagement.post_uri,
        engagement.hours_since_posted,
        engagement.engagement_count,
        case
            when engagement.previous_observed_at is null then 0
            else
                engagement.hours_since_posted
                - {{ hours_between('engagement.previous_observed_at', 'engagement.observed_at') }}
        end as previous_hours,
        case
            when engagement.previous_observed_at is null then 0
            else engagement.engagement_count - engagement.engagement_change
        end as previous_count
    from {{ ref('fct_post_engagement') }} as engagement
    inner join {{ ref('int_recent_posts') }} as posts on engagement.post_uri = posts.post_uri
    where
        engagement.engagement_count is not null
        and engagement.hours_since_posted >= 0
        -- The days in which a post is recent (int_clock). A number, since a time that was found earlier would leave out
        -- what was seen since; of what is older, DuckDB skips most.
        and engagement.hours_since_posted <= 24 * 60
),

finals as (
    select
        post_uri,
        max(engagement_count) as final_count,
        max(hours_since_posted) as followed_hours,
        min(hours_since_posted) as first_seen_hours
    from engagement
    group by post_uri
),

points as (
    select
        engagement.post_uri,
        engagement.hours_since_posted,
        engagement.engagement_count,
        engagement.previous_hours,
        engagement.previous_count,
        finals.final_count,
        finals.followed_hours
    from engagement
    inner join finals on engagement.post_uri = finals.post_uri
    where finals.final_count >= 4 and finals.followed_hours >= 120 and finals.first_seen_hours <= 36
)

select
    post_uri,
    final_count,
    followed_hours,
    min(
        previous_hours
        + (hours_since_posted - previous_hours)
        * (final_count / 2e0 - previous_count)
        / (engagement_count - previous_count)
    ) as half_life_hours
from points
where engagement_count >= final_count / 2e0 and previous_count < final_count / 2e0
group by post_uri, final_count, followed_hours
