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
        media,
        source_file,
        batch_number
    from {{ ref('int_posts') }}
    where {{ is_own_post_to_read() }} and media is not null
),

media as (
    select * from {{ explode('posts', ['post_uri'], 'media', position='media_number', element='medium') }} as exploded
)

select
    media.post_uri,
    posts.post_sort_key,
    media.media_number,
    media.medium.kind,
    media.medium.alt as alt_text,
    coalesce({{ trimmed('media.medium.alt') }} != '', false) as has_alt_text,
    posts.author_did,
    posts.posted_at,
    posts.source_file,
    posts.batch_number
from media
inner join posts on media.post_uri = posts.post_uri
