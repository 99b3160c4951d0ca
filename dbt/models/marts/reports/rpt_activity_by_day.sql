with clock as (
    select * from {{ ref('int_clock') }}
),

report_members as (
    select * from {{ ref('int_report_members') }}
),

counts as (
    select
        report_members.pack_uri,
        days.date_day,
        sum(days.original_count) as original_count,
        sum(days.reply_count) as reply_count,
        sum(days.quote_count) as quote_count,
        sum(days.publishable_repost_count) as repost_count,
        sum(days.post_count) as post_count,
        count(*) as active_member_count,
        sum(days.engagement_on_posts) as engagement_on_posts
    from {{ ref('int_author_days') }} as days
    inner join report_members on days.did = report_members.did
    inner join clock on days.date_day >= {{ utc_date(before('clock.newest_observed_at', 366)) }}
    where days.last_publishable_at is not null
    group by report_members.pack_uri, days.date_day
),

first_days as (
    select
        pack_uri,
        min(date_day) as first_day
    from counts
    group by pack_uri
),

-- Days on which nothing happened are days too, from the first one on which something did.
days as (
    select
        first_days.pack_uri,
        dates.date_day
    from first_days
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
left join counts on days.pack_uri = counts.pack_uri and days.date_day = counts.date_day
