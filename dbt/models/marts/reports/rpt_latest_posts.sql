with clock as (
    select * from {{ ref('int_clock') }}
),

posts as (
    select posts.*
    from {{ ref('int_recent_posts') }} as posts
    inner join clock on posts.posted_at > clock.month_from
),

ranked as (
    select
        report_members.pack_uri,
        posts.post_uri,
        row_number() over (
            partition by report_members.pack_uri
            order by posts.posted_at desc, posts.post_uri asc
        ) as rank_number
    from posts
    inner join {{ ref('int_report_members') }} as report_members on posts.author_did = report_members.did
    qualify rank_number <= 100
)

select
    ranked.pack_uri,
    ranked.rank_number,
    posts.post_uri,
    posts.post_url,
    posts.author_did,
    authors.handle as author_handle,
    authors.display_name as author_display_name,
    posts.kind,
    posts.text,
    posts.posted_at,
    posts.primary_language,
    posts.like_count,
    posts.repost_count,
    posts.reply_count,
    posts.quote_count,
    posts.engagement_count,
    posts.media_count,
    posts.labels
from ranked
inner join posts on ranked.post_uri = posts.post_uri
inner join {{ ref('dim_authors') }} as authors on posts.author_did = authors.did
