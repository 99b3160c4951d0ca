{#- Whether a report's period, or the time before it, may have a time: so that the engine need not look through all of
    history. -#}
{% macro is_in_any_period(timestamp) -%}
    {{ timestamp }} > (select min(all_periods.previous_from) from {{ ref('int_periods') }} as all_periods)
{%- endmacro %}

{#- Rows of a mart of what posts contain, of the posts that periods may have. An edit that the live job saw can move a post
    to another time than what it contains has. -#}
{% macro contents_of_periods(relation) -%}
    (
        select * from {{ relation }}
        where {{ is_in_any_period('posted_at') }}
        union all
        select * from {{ relation }}
        where
            not coalesce({{ is_in_any_period('posted_at') }}, false)
            and post_sort_key in (
                select {{ uri_sort_key('edited.post_uri') }} from {{ ref('int_live_posts') }} as edited
                where edited.is_pulled
            )
    )
{%- endmacro %}
