{{
    config(
        materialized='incremental',
        incremental_strategy='replace_by_post',
        on_schema_change='fail',
        meta={'input': 'int_posts', 'newest_column': 'post_sort_key'}
    )
}}

with posts as (
    select
        post_uri,
        post_sort_key,
        author_did,
        posted_at,
        facets,
        tags,
        source_file,
        batch_number
    from {{ ref('int_posts') }}
    where {{ is_own_post_to_read() }} and (facets is not null or tags is not null)
),

facets as (
    select * from {{ explode('posts', ['post_uri'], 'facets', element='facet') }} as exploded
),

outline_tags as (
    select * from {{ explode('posts', ['post_uri'], 'tags', element='tag') }} as exploded
),

tags as (
    select
        post_uri,
        {{ hashtag_of('facet.value') }} as tag,
        true as is_in_text
    from facets
    where facet.feature = 'tag'
    union all
    select
        post_uri,
        {{ hashtag_of('tag') }} as tag,
        false as is_in_text
    from outline_tags
),

in_small_letters as (
    select
        *,
        {{ small_letters('tag') }} as hashtag
    from tags
    where tag != ''
),

-- Tags differ in case alone (#DuckDB, #duckdb): they are one tag.
folded as (
    select
        post_uri,
        hashtag,
        min(tag) as tag_as_written,
        bool_or(is_in_text) as is_in_text
    from in_small_letters
    group by post_uri, hashtag
)

select
    folded.post_uri,
    posts.post_sort_key,
    folded.hashtag,
    folded.tag_as_written,
    folded.is_in_text,
    posts.author_did,
    posts.posted_at,
    posts.source_file,
    posts.batch_number
from folded
inner join posts on folded.post_uri = posts.post_uri
