select
    report_members.pack_uri,
    activity.period,
    {{ iso_weekday(utc_date('activity.acted_at')) }} as iso_weekday,
    {{ utc_hour('activity.acted_at') }} as hour_of_day,
    count(case when activity.kind != 'repost' then 1 end) as post_count,
    count(case when activity.kind = 'repost' then 1 end) as repost_count
from {{ ref('int_period_activity') }} as activity
inner join {{ ref('int_report_members') }} as report_members on activity.did = report_members.did
where activity.is_in_period
group by
    report_members.pack_uri,
    activity.period,
    {{ iso_weekday(utc_date('activity.acted_at')) }},
    {{ utc_hour('activity.acted_at') }}
