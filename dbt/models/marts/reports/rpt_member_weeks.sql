{#- What a member did in each week of the year, the bars of its chart: they count back from the newest observation. -#}
with weeks as (
    select
        activity.did,
        activity.kind,
        cast(
            floor({{ hours_between('activity.acted_at', 'periods.period_to') }} / periods.bin_hours) as integer
        ) as week_number
    from {{ ref('int_period_activity') }} as activity
    inner join {{ ref('int_periods') }} as periods on activity.period = periods.period
    where activity.period = 'year' and activity.is_in_period
)

select
    weeks.did,
    members.handle,
    weeks.week_number,
    count(case when weeks.kind != 'repost' then 1 end) as post_count,
    count(case when weeks.kind = 'repost' then 1 end) as repost_count
from weeks
inner join {{ ref('rpt_members') }} as members on weeks.did = members.did
group by weeks.did, members.handle, weeks.week_number
