{{ config(materialized='view') }}

with mentions as (
    select
        mentions.*,
        deletions.subject_uri is not null as is_deleted
    from {{ ref('fct_mentions') }} as mentions
    left join {{ ref('int_deletions') }} as deletions
        on mentions.post_uri = deletions.subject_uri and deletions.subject_type = 'post'
),

interactions as (
    select
        post_uri as interaction_uri,
        'reply' as kind,
        author_did as actor_did,
        reply_parent_did as subject_did,
        reply_parent_uri as subject_uri,
        posted_at as interacted_at,
        is_deleted as is_gone
    from {{ ref('fct_posts') }}
    where reply_parent_did is not null
    union all
    select
        post_uri as interaction_uri,
        'quote' as kind,
        author_did as actor_did,
        quoted_did as subject_did,
        quoted_uri as subject_uri,
        posted_at as interacted_at,
        is_deleted as is_gone
    from {{ ref('fct_posts') }}
    where quoted_did is not null
    union all
    select
        post_uri as interaction_uri,
        'mention' as kind,
        author_did as actor_did,
        mentioned_did as subject_did,
        'at://' || mentioned_did as subject_uri,
        posted_at as interacted_at,
        is_deleted as is_gone
    from mentions
    union all
    select
        repost_uri as interaction_uri,
        'repost' as kind,
        reposter_did as actor_did,
        post_author_did as subject_did,
        post_uri as subject_uri,
        reposted_at as interacted_at,
        is_gone
    from {{ ref('fct_reposts') }}
    where post_author_did is not null
)

select
    interaction_uri,
    kind,
    actor_did,
    subject_did,
    subject_uri,
    interacted_at,
    actor_did = subject_did as is_with_self,
    is_gone
from interactions
