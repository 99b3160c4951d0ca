{#- What feeds called people, and what they wished then. dbt folds the rows of new files into those that are there, so
    that nobody goes through all posts to find who wrote them. Names that no post's latest version has are kept. -#}
{%- set seen = {
    'first_seen_at': 'least(DBT_INTERNAL_DEST.first_seen_at, DBT_INTERNAL_SOURCE.first_seen_at)',
    'batch_number': 'DBT_INTERNAL_SOURCE.batch_number'
} -%}
{%- for column in ['last_looked_at', 'last_asked_to_be_hidden_at', 'last_hidden_by_moderation_at'] -%}
    {%- do seen.update({
        column: 'greatest(DBT_INTERNAL_DEST.' ~ column ~ ', DBT_INTERNAL_SOURCE.' ~ column ~ ')'
    }) -%}
{%- endfor -%}
{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='name_key',
        merge_update_columns=seen | list,
        merge_update_set_expressions=seen,
        on_schema_change='fail',
        meta={'input': 'base_lake__files'}
    )
}}
-- depends_on: {{ source('bluesky', 'author_feed') }}
-- depends_on: {{ ref('base_lake__files') }}
{%- set unread = unread_files('author_feed') %}

select
    -- A key that has no null: a name can be unknown, which is not the same as empty.
    author_did || ' ' || coalesce('@' || author_handle, '') || ' ' || coalesce('=' || author_display_name, '')
        as name_key,
    author_did as did,
    author_handle as handle,
    author_display_name as display_name,
    min(observed_at) as first_seen_at,
    max(observed_at) as last_looked_at,
    max(case when {{ contains_element('author_labels', "'!no-unauthenticated'") }} then observed_at end)
        as last_asked_to_be_hidden_at,
    max(case when {{ has_hiding_label('author_labels') }} then observed_at end) as last_hidden_by_moderation_at,
    {{ unread.batch_number }} as batch_number
from {{ read_lake_files('author_feed', unread.files) }} as files
where author_did is not null and item_uri is not null and post_uri is not null
group by author_did, author_handle, author_display_name
