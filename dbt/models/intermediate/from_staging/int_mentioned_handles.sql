{#- Whom a post mentions, and the handle that it writes for them. Of a post that has a newer version, only its words are
    here; with the words of a deleted post that the lake keeps no longer, the warehouse goes, and this too. -#}
{{
    config(
        materialized='incremental',
        incremental_strategy='replace_by_post',
        on_schema_change='fail',
        meta={'input': 'int_posts', 'newest_column': 'post_sort_key'}
    )
}}

with posts as (
    select * from {{ ref('int_posts') }}
    where {{ is_own_post_to_read() }} and facets is not null
),

facets as (
    {%- set columns = ['post_uri', 'post_sort_key', 'author_did', 'text', 'batch_number'] %}
    select * from {{ explode('posts', columns, 'facets', element='facet') }} as exploded
)

select distinct
    post_uri,
    post_sort_key,
    author_did,
    facet.value as mentioned_did,
    {{ handle_in_bytes('text', 'facet.byte_start', 'facet.byte_end') }} as handle,
    batch_number
from facets
where facet.feature = 'mention' and facet.value is not null
