{#- The bars of a chart: counted back from the newest observation, not from midnight. -#}
with activity as (
    select
        activity.did,
        activity.kind,
        activity.period,
        periods.bin_hours,
        periods.period_to,
        cast(
            floor({{ hours_between('activity.acted_at', 'periods.period_to') }} / periods.bin_hours) as integer
        ) as bin_number
    from {{ ref('int_period_activity') }} as activity
    inner join {{ ref('int_periods') }} as periods on activity.period = periods.period
)

select
    report_members.pack_uri,
    activity.period,
    activity.bin_number,
    count(case when activity.kind = 'original' then 1 end) as original_count,
    count(case when activity.kind = 'reply' then 1 end) as reply_count,
    count(case when activity.kind = 'quote' then 1 end) as quote_count,
    count(case when activity.kind = 'repost' then 1 end) as repost_count
from activity
inner join {{ ref('int_report_members') }} as report_members on activity.did = report_members.did
group by report_members.pack_uri, activity.period, activity.bin_number
