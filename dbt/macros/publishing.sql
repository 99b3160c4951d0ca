{#- Whether none of the texts holds the handle or the DID of somebody who is withheld, in whatever case, and with `%3A`
    for a colon, as in addresses. Each word of other people that a report shows goes through it. What is compared is
    each text with each name: rank first, then ask for the few that are shown. -#}
{% macro names_nobody_withheld(texts) -%}
    not exists (
        select 1
        from {{ ref('int_withheld_names') }} as withheld
        where
            {%- for text in texts %}
            {%- set plain = "replace(lower(" ~ text ~ "), '%3a', ':')" %}
            {{ 'or ' if not loop.first }}{{ contains_text(plain, 'withheld.withheld_name') }}
            {%- endfor %}
    )
{%- endmacro %}


{% macro contains_text(text, part) %}
    {{- return(adapter.dispatch('contains_text', 'bluesky_lake')(text, part)) -}}
{% endmacro %}

{% macro duckdb__contains_text(text, part) -%}
    contains({{ text }}, {{ part }})
{%- endmacro %}
