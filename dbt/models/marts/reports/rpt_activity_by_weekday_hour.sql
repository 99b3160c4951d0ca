with clock as (
    select * from {{ ref('int_clock') }}
),

activity as (
    select
        activity.did,
        activity.kind,
        {{ iso_weekday('activity.acted_date') }} as iso_weekday,
        {{ utc_hour('activity.acted_at') }} as hour_of_day
    from {{ ref('int_recent_activity') }} as activity
    inner join clock on activity.acted_at > clock.month_from
)

select
    report_members.pack_uri,
    activity.iso_weekday,
    activity.hour_of_day,
    cast(sum(case when activity.kind != 'repost' then 1 else 0 end) as bigint) as post_count,
    cast(sum(case when activity.kind = 'repost' then 1 else 0 end) as bigint) as repost_count
from activity
inner join {{ ref('int_report_members') }} as report_members on activity.did = report_members.did
group by report_members.pack_uri, activity.iso_weekday, activity.hour_of_day
