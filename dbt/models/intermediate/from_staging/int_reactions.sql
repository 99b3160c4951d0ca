{#- dbt merges the reactions of new files into those that are there, so that a night's cost does not grow with
    history. -#}
{%- set newer = 'DBT_INTERNAL_SOURCE.last_seen_at >= DBT_INTERNAL_DEST.last_seen_at' -%}
{%- set seen = {
    'first_seen_at': 'least(DBT_INTERNAL_DEST.first_seen_at, DBT_INTERNAL_SOURCE.first_seen_at)',
    'last_seen_at': 'greatest(DBT_INTERNAL_DEST.last_seen_at, DBT_INTERNAL_SOURCE.last_seen_at)',
} -%}
{%- set as_last_seen = ['actor_handle', 'actor_display_name', 'actor_labels', 'created_at', 'indexed_at'] -%}
{%- for column in as_last_seen -%}
    {%- do seen.update({
        column: 'case when ' ~ newer ~ ' then DBT_INTERNAL_SOURCE.' ~ column ~ ' else DBT_INTERNAL_DEST.' ~ column ~ ' end'
    }) -%}
{%- endfor -%}
{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key=['post_uri', 'kind', 'actor_did'],
        merge_update_columns=(seen | list) + ['batch_number'],
        merge_update_set_expressions=seen,
        on_schema_change='fail',
        meta={'input': 'base_bluesky__reactions'}
    )
}}

select
    post_uri,
    kind,
    actor_did,
    {%- for column in as_last_seen %}
    {{ value_at_newest(column, 'observed_at') }} as {{ column }},
    {%- endfor %}
    min(observed_at) as first_seen_at,
    max(observed_at) as last_seen_at,
    max(batch_number) as batch_number
from {{ ref('stg_bluesky__reactions') }}
{% if is_incremental() -%}
where batch_number > {{ last_batch() }}
{%- endif %}
group by post_uri, kind, actor_did
