-- A post counts once for a hashtag: fct_hashtags has each of its hashtags once.
with counted as (
    select
        report_members.pack_uri,
        posts.period,
        hashtags.hashtag,
        count(case when posts.is_in_period then 1 end) as post_count,
        count(case when not posts.is_in_period then 1 end) as previous_post_count,
        count(distinct case when posts.is_in_period then posts.author_did end) as author_count,
        cast(sum(case when posts.is_in_period then coalesce(posts.engagement_count, 0) else 0 end) as bigint)
            as engagement_count
    from {{ contents_of_periods(ref('fct_hashtags')) }} as hashtags
    inner join {{ ref('int_period_posts') }} as posts on hashtags.post_uri = posts.post_uri
    inner join {{ ref('int_report_members') }} as report_members on posts.author_did = report_members.did
    group by report_members.pack_uri, posts.period, hashtags.hashtag
)

select
    pack_uri,
    period,
    hashtag,
    post_count,
    previous_post_count,
    post_count - previous_post_count as post_change,
    author_count,
    engagement_count,
    row_number() over (
        partition by pack_uri, period
        order by post_count desc, author_count desc, hashtag asc
    ) as rank_number,
    case
        when post_count > previous_post_count
            then row_number() over (
                partition by pack_uri, period
                order by post_count - previous_post_count desc, author_count desc, hashtag asc
            )
    end as rising_rank_number,
    case
        when post_count < previous_post_count
            then row_number() over (
                partition by pack_uri, period
                order by post_count - previous_post_count asc, previous_post_count desc, hashtag asc
            )
    end as falling_rank_number
from counted
where {{ names_nobody_withheld(['counted.hashtag'], among='counted.post_count + counted.previous_post_count > 0') }}
