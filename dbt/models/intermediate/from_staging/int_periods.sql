{#- The periods that reports can be filtered by, each up to the newest observation, with the time of equal length before
    it. Nights are a day apart, give or take: `nights_from` is half a day after `period_from`, a boundary that no night
    sits on. -#}
{%- set periods = [('day', 1, 1), ('week', 7, 24), ('month', 28, 24), ('year', 364, 168)] -%}
with clock as (
    select * from {{ ref('int_clock') }}
)

{% for period, days, bin_hours in periods -%}
select
    '{{ period }}' as period,
    {{ days }} as days,
    {{ bin_hours }} as bin_hours,
    {{ days * 24 // bin_hours }} as bin_count,
    {{ before('newest_observed_at', 2 * days) }} as previous_from,
    {{ before('newest_observed_at', days) }} as period_from,
    newest_observed_at as period_to,
    {{ before('newest_observed_at', 2 * days - 0.5) }} as previous_nights_from,
    {{ before('newest_observed_at', days - 0.5) }} as nights_from
from clock
{% if not loop.last %}union all
{% endif %}
{%- endfor %}
