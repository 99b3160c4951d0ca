with clock as (
    select * from {{ ref('int_clock') }}
),

posts as (
    select posts.*
    from {{ ref('int_recent_posts') }} as posts
    inner join clock on posts.posted_at > clock.week_from
),

periods as (
    select
        'week' as period,
        week_from as period_from
    from clock
    union all
    select
        'day' as period,
        day_from as period_from
    from clock
),

ranked as (
    select
        report_members.pack_uri,
        periods.period,
        row_number() over (
            partition by report_members.pack_uri, periods.period
            order by posts.engagement_count desc nulls last, posts.like_count desc nulls last, posts.post_uri asc
        ) as rank_number,
        posts.post_uri,
        posts.posted_at
    from posts
    inner join periods on posts.posted_at > periods.period_from
    inner join {{ ref('int_report_members') }} as report_members on posts.author_did = report_members.did
    qualify rank_number <= 25
),

-- Nights are a day apart, give or take: the day before is what was seen at least half a day earlier.
the_day_before as (
    select
        engagement.post_uri,
        max_by(engagement.engagement_count, engagement.observed_at) as engagement_count,
        max_by(engagement.like_count, engagement.observed_at) as like_count
    from {{ ref('fct_post_engagement') }} as engagement
    inner join clock on engagement.observed_at > clock.week_from
    inner join posts on engagement.post_uri = posts.post_uri
    where engagement.observed_at <= {{ before('posts.last_observed_at', 0.5) }}
    group by engagement.post_uri
)

select
    ranked.pack_uri,
    ranked.period,
    ranked.rank_number,
    posts.post_uri,
    posts.post_url,
    posts.author_did,
    authors.handle as author_handle,
    authors.display_name as author_display_name,
    posts.kind,
    posts.text,
    posts.posted_at,
    posts.primary_language,
    posts.like_count,
    posts.repost_count,
    posts.reply_count,
    posts.quote_count,
    posts.engagement_count,
    -- What was not there the day before started from nothing.
    case
        when the_day_before.post_uri is not null then posts.engagement_count - the_day_before.engagement_count
        when
            posts.first_observed_at > {{ before('posts.last_observed_at', 0.5) }}
            and posts.posted_at > clock.previous_day_from
            then posts.engagement_count
    end as engagement_growth,
    case
        when the_day_before.post_uri is not null then posts.like_count - the_day_before.like_count
        when
            posts.first_observed_at > {{ before('posts.last_observed_at', 0.5) }}
            and posts.posted_at > clock.previous_day_from
            then posts.like_count
    end as like_growth,
    posts.media_count,
    posts.labels
from ranked
cross join clock
-- By its time too, so that the engine need not look through all of history for it.
inner join {{ ref('fct_posts') }} as posts
    on ranked.post_uri = posts.post_uri and ranked.posted_at = posts.posted_at
inner join {{ ref('dim_authors') }} as authors on posts.author_did = authors.did
left join the_day_before on ranked.post_uri = the_day_before.post_uri
