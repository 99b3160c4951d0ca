{{ config(materialized='view') }}

select
    did,
    date_day,
    followers_count,
    follows_count,
    profile_posts_count,
    post_count,
    original_count,
    reply_count,
    quote_count,
    repost_count,
    engagement_on_posts,
    engagement_gained
from {{ ref('int_author_days') }}
