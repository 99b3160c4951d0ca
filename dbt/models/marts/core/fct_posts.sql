{{ config(materialized='view') }}

{#- A view: int_posts stores the versions, and deletions are joined to them. DuckDB keeps the rows of a CTE that is
    named twice, and hands no reader's columns and times through it: int_live_posts is named itself, in both places, so
    that a reader opens the columns and the row groups that it asks for. -#}
{%- set both_have = [
    "post_uri", "post_cid", "author_did", "posted_at", "created_at", "post_indexed_at", "kind", "is_reply",
    "is_quote", "is_self_reply", "text", "text_length", "langs", "primary_language", "reply_parent_uri",
    "reply_parent_did", "reply_root_uri", "quoted_uri", "quoted_did", "embed_type", "media_count", "like_count",
    "repost_count", "reply_count", "quote_count", "bookmark_count", "engagement_count", "labels", "self_labels",
    "has_issues", "first_observed_at", "last_observed_at", "source_file", "file_row_number",
] -%}
with pulled as (
    select posts.*
    from {{ ref('int_posts') }} as posts
    left join {{ ref('int_live_posts') }} as live on posts.post_uri = live.post_uri
    where
        -- A post that was only seen as somebody's repost is no member's post.
        posts.is_in_own_feed
        -- An edit that the live job saw is the latest version.
        and live.post_uri is null
),

posts as (
    select {{ both_have | join(", ") }}
    from pulled
    union all
    -- Counts are null until a pull sees the post: zero would be a count.
    select {{ both_have | join(", ") }}
    from {{ ref('int_live_posts') }}
),

deletions as (
    select * from {{ ref('int_deletions') }}
    where subject_type = 'post'
),

in_doubt as (
    select uri from {{ ref('int_records_in_doubt') }}
)

select
    posts.post_uri,
    posts.post_cid,
    posts.author_did,
    posts.posted_at,
    {{ utc_date('posts.posted_at') }} as posted_date,
    posts.created_at,
    posts.post_indexed_at as indexed_at,
    posts.kind,
    posts.is_reply,
    posts.is_quote,
    posts.is_self_reply,
    posts.text,
    posts.text_length,
    posts.langs,
    posts.primary_language,
    posts.reply_parent_uri,
    posts.reply_parent_did,
    coalesce(posts.reply_root_uri, posts.post_uri) as thread_root_uri,
    posts.quoted_uri,
    posts.quoted_did,
    posts.embed_type,
    posts.media_count,
    posts.like_count,
    posts.repost_count,
    posts.reply_count,
    posts.quote_count,
    posts.bookmark_count,
    posts.engagement_count,
    posts.labels,
    posts.self_labels,
    posts.has_issues,
    posts.first_observed_at,
    posts.last_observed_at,
    deletions.subject_uri is not null as is_deleted,
    deletions.last_seen_at as deleted_after,
    deletions.missed_at as deleted_before,
    deletions.evidence as deleted_because,
    in_doubt.uri is not null as is_in_doubt,
    'https://bsky.app/profile/' || posts.author_did || '/post/' || {{ rkey_of('posts.post_uri') }} as post_url,
    posts.source_file,
    posts.file_row_number
from posts
left join deletions on posts.post_uri = deletions.subject_uri
left join in_doubt on posts.post_uri = in_doubt.uri
