with clock as (
    select * from {{ ref('int_clock') }}
),

days as (
    select distinct date_day
    from {{ ref('int_author_days') }}
),

bounds as (
    select
        -- Some dates in records are centuries off. The series spans twenty years; days before it are added one by one.
        greatest(
            min(days.date_day), cast({{ utc_date(before('min(clock.newest_observed_at)', 7305)) }} as date)
        ) as first_date,
        {{ utc_date('min(clock.newest_observed_at)') }} as last_date
    from clock
    left join days on true
),

dates as (
    select {{ date_series('first_date', 'last_date') }} as date_day
    from bounds
    where first_date is not null
    union
    select date_day
    from days
    union
    select last_date as date_day
    from bounds
    where last_date is not null
)

select
    date_day,
    extract(year from date_day) as year_number,
    extract(month from date_day) as month_number,
    {{ month_start('date_day') }} as month_start,
    {{ week_start('date_day') }} as week_start,
    {{ iso_weekday('date_day') }} as iso_weekday,
    {{ iso_weekday('date_day') }} in (6, 7) as is_weekend
from dates
