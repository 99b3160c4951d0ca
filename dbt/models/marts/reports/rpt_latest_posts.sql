with clock as (
    select * from {{ ref('int_clock') }}
),

ranked as (
    select
        report_members.pack_uri,
        posts.post_uri,
        posts.posted_at,
        row_number() over (
            partition by report_members.pack_uri
            order by posts.posted_at desc, posts.post_uri asc
        ) as rank_number
    from {{ ref('int_recent_posts') }} as posts
    inner join clock on posts.posted_at > clock.month_from
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
-- By its time too, so that the engine need not look through all of history for it.
inner join {{ ref('fct_posts') }} as posts
    on ranked.post_uri = posts.post_uri and ranked.posted_at = posts.posted_at
inner join {{ ref('dim_authors') }} as authors on posts.author_did = authors.did
