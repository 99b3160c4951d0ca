{#- dbt merges new rows into the posts that are there. A newer row replaces the post's version; a row that arrives late
    moves first_observed_at and is_in_own_feed alone. -#}
{%- set seen = {
    'first_observed_at': 'least(DBT_INTERNAL_DEST.first_observed_at, DBT_INTERNAL_SOURCE.first_observed_at)',
    'is_in_own_feed': 'coalesce(
        DBT_INTERNAL_DEST.is_in_own_feed or DBT_INTERNAL_SOURCE.is_in_own_feed,
        DBT_INTERNAL_DEST.is_in_own_feed,
        DBT_INTERNAL_SOURCE.is_in_own_feed
    )',
    'batch_number': 'DBT_INTERNAL_SOURCE.batch_number'
} -%}
{%- set of_another_day = {
    'redated_in': 'case
        when ' ~ utc_date('DBT_INTERNAL_SOURCE.posted_at') ~ ' is distinct from '
            ~ utc_date('DBT_INTERNAL_DEST.posted_at') ~ ' then DBT_INTERNAL_SOURCE.batch_number
        else DBT_INTERNAL_DEST.redated_in
    end'
} -%}
{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key='post_uri',
        merge_clauses={
            'when_matched': [
                {
                    'condition': '
                        (
                            DBT_INTERNAL_SOURCE.last_observed_at,
                            DBT_INTERNAL_SOURCE.source_file,
                            DBT_INTERNAL_SOURCE.file_row_number
                        ) > (
                            DBT_INTERNAL_DEST.last_observed_at,
                            DBT_INTERNAL_DEST.source_file,
                            DBT_INTERNAL_DEST.file_row_number
                        )',
                    'action': 'update',
                    'mode': 'explicit',
                    'update': {'exclude': ['post_uri'], 'set_expressions': dict(seen, **of_another_day)}
                },
                {'action': 'update', 'mode': 'explicit', 'update': {'include': seen | list, 'set_expressions': seen}}
            ],
            'when_not_matched': [{'action': 'insert', 'mode': 'by_name'}]
        },
        on_schema_change='fail',
        meta={'input': 'base_bluesky__author_feed', 'newest_column': 'redated_in'}
    )
}}
-- depends_on: {{ source('bluesky', 'author_feed') }}
-- depends_on: {{ ref('base_lake__files') }}

{#- The query finds the newest row of each post on narrow columns, then reads the wide columns of these rows. #}
with sightings as (
    select
        post_uri,
        source_file,
        file_row_number,
        min(observed_at) over (partition by post_uri) as first_observed_at,
        bool_or(member_did = author_did) over (partition by post_uri) as is_in_own_feed,
        {{ batch_of_rows('max(batch_number) over (partition by post_uri)', ref('stg_bluesky__author_feed')) }}
            as batch_number,
        row_number() over (
            partition by post_uri
            order by observed_at desc, source_file desc, file_row_number desc
        ) as place_from_newest
    from {{ ref('stg_bluesky__author_feed') }}
    {% if is_incremental() -%}
    where batch_number > {{ last_batch() }}
    {%- endif %}
),

newest_rows as (
    select * from sightings
    where place_from_newest = 1
),

rows_of_files as (
    select * from {{ rows_to_fetch('author_feed', ref('base_bluesky__author_feed')) }}
),

versions as (
    select
        newest_rows.post_uri,
        rows_of_files.post_cid,
        rows_of_files.author_did,
        rows_of_files.author_handle,
        rows_of_files.author_display_name,
        rows_of_files.author_labels,
        rows_of_files.post_indexed_at,
        rows_of_files.created_at,
        rows_of_files.text,
        rows_of_files.langs,
        rows_of_files.tags,
        rows_of_files.facets,
        rows_of_files.reply_parent_uri,
        rows_of_files.reply_root_uri,
        rows_of_files.embed_type,
        rows_of_files.quoted_uri,
        rows_of_files.link_uri,
        rows_of_files.link_title,
        rows_of_files.link_description,
        rows_of_files.media,
        {{ credible_post_counts('rows_of_files.') }},
        rows_of_files.labels,
        rows_of_files.self_labels,
        rows_of_files.issues is not null as has_issues,
        rows_of_files.observed_at as last_observed_at,
        newest_rows.first_observed_at,
        newest_rows.is_in_own_feed,
        newest_rows.source_file,
        newest_rows.file_row_number,
        newest_rows.batch_number
    from rows_of_files
    inner join newest_rows
        on
            rows_of_files.source_file = newest_rows.source_file
            and rows_of_files.file_row_number = newest_rows.file_row_number
),

with_addresses as (
    select
        *,
        -- Importers date posts back and clients' clocks run ahead: the earlier of both times is right in both cases.
        least(coalesce(created_at, post_indexed_at), coalesce(post_indexed_at, created_at)) as posted_at,
        {{ did_of('reply_parent_uri') }} as reply_parent_did,
        coalesce(quoted_uri like '%/app.bsky.feed.post/%', false) as is_quote
    from versions
)

select
    *,
    case
        when reply_parent_uri is not null then 'reply'
        when is_quote then 'quote'
        else 'original'
    end as kind,
    reply_parent_uri is not null as is_reply,
    coalesce(reply_parent_did = author_did, false) as is_self_reply,
    case when is_quote then {{ did_of('quoted_uri') }} end as quoted_did,
    {{ grapheme_count('text') }} as text_length,
    lower({{ regexp_first(first_element('langs'), '^([A-Za-z]{2,3})') }}) as primary_language,
    {{ element_count('media') }} as media_count,
    {{ engagement() }} as engagement_count,
    cast(null as integer) as redated_in
from with_addresses
