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
        link_uri,
        link_title,
        link_description,
        source_file,
        batch_number
    from {{ ref('int_posts') }}
    where {{ is_own_post_to_read() }} and (facets is not null or link_uri is not null)
),

facets as (
    select * from {{ explode('posts', ['post_uri'], 'facets', element='facet') }} as exploded
),

links_in_text as (
    select
        post_uri,
        facet.value as link_uri,
        min(position) as position
    from facets
    where facet.feature = 'link' and facet.value is not null
    group by post_uri, facet.value
),

cards as (
    select
        post_uri,
        link_uri,
        link_title,
        link_description
    from posts
    where link_uri is not null
),

links as (
    select
        post_uri,
        link_uri
    from links_in_text
    union
    select
        post_uri,
        link_uri
    from cards
)

select
    links.post_uri,
    posts.post_sort_key,
    links.link_uri,
    posts.author_did,
    posts.posted_at,
    {{ domain_of('links.link_uri') }} as domain,
    case
        when cards.post_uri is not null and links_in_text.post_uri is not null then 'card_and_text'
        when cards.post_uri is not null then 'card'
        else 'text'
    end as kind,
    cards.link_title as card_title,
    cards.link_description as card_description,
    posts.source_file,
    posts.batch_number
from links
inner join posts on links.post_uri = posts.post_uri
left join cards on links.post_uri = cards.post_uri and links.link_uri = cards.link_uri
left join links_in_text on links.post_uri = links_in_text.post_uri and links.link_uri = links_in_text.link_uri
