{#- A view names its tables without the warehouse's name, which is its file's: a copy of the file can be opened under
    another name, or be attached beside this one, and reads its own tables. -#}
{% macro duckdb__create_view_as(relation, sql) -%}
    {%- set schema = relation.include(identifier=false) -%}
    {{- dbt.duckdb__create_view_as(relation, sql | replace(schema ~ '.', schema.include(database=false) ~ '.')) -}}
{%- endmacro %}
