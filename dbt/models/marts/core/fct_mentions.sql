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
        source_file,
        batch_number
    from {{ ref('int_posts') }}
    where {{ is_own_post_to_read() }} and facets is not null
),

facets as (
    select * from {{ explode('posts', ['post_uri'], 'facets', element='facet') }} as exploded
),

mentions as (
    select
        post_uri,
        facet.value as mentioned_did,
        count(*) as mention_count
    from facets
    where facet.feature = 'mention' and facet.value is not null
    group by post_uri, facet.value
)

select
    mentions.post_uri,
    posts.post_sort_key,
    mentions.mentioned_did,
    mentions.mention_count,
    posts.author_did,
    posts.posted_at,
    posts.source_file,
    posts.batch_number
from mentions
inner join posts on mentions.post_uri = posts.post_uri
