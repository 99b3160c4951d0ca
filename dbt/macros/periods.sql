{#- Whether a report's period, or the time before it, may have a time: said of what is joined to the posts of periods, so
    that the engine need not look through all of history. -#}
{% macro is_in_any_period(timestamp) -%}
    {{ timestamp }} > (select min(all_periods.previous_from) from {{ ref('int_periods') }} as all_periods)
{%- endmacro %}
