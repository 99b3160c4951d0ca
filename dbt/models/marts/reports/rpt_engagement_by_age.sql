{#- How engagement grows with a post's age. Shares compare a post with itself: its count at that age with the count that
    it had after six days or more. -#}
with posts as (
    select
        posts.post_uri,
        posts.author_did,
        posts.posted_at,
        posts.engagement_count as final_count,
        posts.last_observed_at
    from {{ ref('int_recent_posts') }} as posts
),

observations as (
    select
        posts.post_uri,
        posts.author_did,
        case
            when engagement.hours_since_posted < 1 then 1
            when engagement.hours_since_posted < 3 then 3
            when engagement.hours_since_posted < 6 then 6
            when engagement.hours_since_posted < 12 then 12
            else 24 * cast(ceil((engagement.hours_since_posted + 1e-4) / 24e0) as integer)
        end as age_up_to_hours,
        engagement.engagement_count,
        case
            when
                posts.final_count > 0
                and {{ hours_between('posts.posted_at', 'posts.last_observed_at') }} >= 144
                then cast(engagement.engagement_count as double) / posts.final_count
        end as share_of_final
    from {{ ref('fct_post_engagement') }} as engagement
    inner join posts on engagement.post_uri = posts.post_uri
    where engagement.hours_since_posted >= 0 and engagement.hours_since_posted < 192
)

select
    report_members.pack_uri,
    observations.age_up_to_hours,
    count(distinct observations.post_uri) as post_count,
    avg(observations.engagement_count) as mean_engagement,
    cast(median(observations.engagement_count) as double) as median_engagement,
    avg(observations.share_of_final) as mean_share_of_final,
    median(observations.share_of_final) as median_share_of_final
from observations
inner join {{ ref('int_report_members') }} as report_members on observations.author_did = report_members.did
group by report_members.pack_uri, observations.age_up_to_hours
