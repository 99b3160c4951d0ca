{{
    config(
        materialized='incremental',
        incremental_strategy='newest_version',
        on_schema_change='fail',
        meta={'input': 'base_bluesky__author_feed', 'newest_column': 'post_sort_key'}
    )
}}
-- depends_on: {{ source('bluesky', 'author_feed') }}
-- depends_on: {{ ref('base_lake__files') }}

{#- The query finds on narrow columns which posts have several rows, and the newest row of each, then reads the wide
    columns. Most posts of a first night have one row: only the others are put in order. #}
{%- set last = last_batch() if is_incremental() else 0 %}
with seen_again as (
    select post_uri from {{ ref('stg_bluesky__author_feed') }}
    where batch_number > {{ last }}
    group by post_uri
    having count(*) > 1
),

sightings as (
    select
        source_file,
        file_row_number,
        min(observed_at) over (partition by post_uri) as first_observed_at,
        bool_or(member_did = author_did) over (partition by post_uri) as is_in_own_feed,
        row_number() over (
            partition by post_uri
            order by observed_at desc, source_file desc, file_row_number desc
        ) as place_from_newest
    from {{ ref('stg_bluesky__author_feed') }}
    where batch_number > {{ last }} and post_uri in (select seen_again.post_uri from seen_again)
),

rows_of_files as (
    select * from {{ rows_to_fetch('author_feed', ref('base_bluesky__author_feed')) }}
),

versions as (
    select
        rows_of_files.post_uri,
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
        coalesce(sightings.first_observed_at, rows_of_files.observed_at) as first_observed_at,
        case
            when sightings.place_from_newest is null then rows_of_files.member_did = rows_of_files.author_did
            else sightings.is_in_own_feed
        end as is_in_own_feed,
        sightings.place_from_newest is null as is_seen_once,
        rows_of_files.source_file,
        rows_of_files.file_row_number,
        (select max(batches.batch_number) from {{ ref('base_bluesky__author_feed') }} as batches) as batch_number
    from rows_of_files
    left join sightings
        on
            rows_of_files.source_file = sightings.source_file
            and rows_of_files.file_row_number = sightings.file_row_number
    where
        rows_of_files.item_uri is not null
        and rows_of_files.post_uri is not null
        and coalesce(sightings.place_from_newest, 1) = 1
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
    {{ uri_sort_key('post_uri') }} as post_sort_key,
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
