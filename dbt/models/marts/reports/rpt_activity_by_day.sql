with clock as (
    select * from {{ ref('int_clock') }}
),

report_members as (
    select * from {{ ref('int_report_members') }}
),

activity as (
    select activity.*
    from {{ ref('int_member_activity') }} as activity
    inner join clock on activity.acted_at > {{ before('clock.newest_observed_at', 366) }}
),

counts as (
    select
        report_members.pack_uri,
        activity.acted_date,
        sum(case when activity.kind = 'original' then 1 else 0 end) as original_count,
        sum(case when activity.kind = 'reply' then 1 else 0 end) as reply_count,
        sum(case when activity.kind = 'quote' then 1 else 0 end) as quote_count,
        sum(case when activity.kind = 'repost' then 1 else 0 end) as repost_count,
        sum(case when activity.kind != 'repost' then 1 else 0 end) as post_count,
        count(distinct activity.did) as active_member_count,
        sum(activity.engagement_count) as engagement_on_posts
    from activity
    inner join report_members on activity.did = report_members.did
    group by report_members.pack_uri, activity.acted_date
),

-- Days on which nothing happened are days too, from the first one on which something did.
days as (
    select
        first_days.pack_uri,
        dates.date_day
    from (select pack_uri, min(acted_date) as first_day from counts group by pack_uri) as first_days
    cross join clock
    inner join {{ ref('dim_dates') }} as dates
        on
            first_days.first_day <= dates.date_day
            and dates.date_day <= {{ utc_date('clock.newest_observed_at') }}
)

select
    days.pack_uri,
    days.date_day,
    cast(coalesce(counts.post_count, 0) as bigint) as post_count,
    cast(coalesce(counts.original_count, 0) as bigint) as original_count,
    cast(coalesce(counts.reply_count, 0) as bigint) as reply_count,
    cast(coalesce(counts.quote_count, 0) as bigint) as quote_count,
    cast(coalesce(counts.repost_count, 0) as bigint) as repost_count,
    coalesce(counts.active_member_count, 0) as active_member_count,
    cast(coalesce(counts.engagement_on_posts, 0) as bigint) as engagement_on_posts,
    days.date_day < {{ utc_date('clock.newest_observed_at') }} as is_whole_day
from days
cross join clock
left join counts on days.pack_uri = counts.pack_uri and days.date_day = counts.acted_date
