{{ config(materialized='incremental', incremental_strategy='replace_by_post', on_schema_change='fail') }}
-- depends_on: {{ ref('base_lake__files') }}

with posts as (
    select * from {{ ref('int_posts') }}
    where is_in_own_feed and batch_number > {% if is_incremental() %}{{ last_batch_of_files() }}{% else %}0{% endif %}
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
    mentions.mentioned_did,
    mentions.mention_count,
    posts.author_did,
    posts.posted_at,
    posts.source_file
from mentions
inner join posts on mentions.post_uri = posts.post_uri
