with media as (
    -- A post has pictures or a video, never both: its first medium says which.
    select
        post_uri,
        kind
    from {{ contents_of_periods(ref('fct_media')) }} as first_media
    where media_number = 1
),

cards as (
    select post_uri
    from {{ contents_of_periods(ref('fct_links')) }} as links
    where kind in ('card', 'card_and_text')
),

posts as (
    select
        posts.author_did,
        posts.period,
        posts.kind = 'reply' as is_reply,
        case
            when media.post_uri is not null then media.kind
            when cards.post_uri is not null then 'link_card'
            else 'none'
        end as media_kind,
        posts.engagement_count
    from {{ ref('int_period_posts') }} as posts
    left join media on posts.post_uri = media.post_uri
    left join cards on posts.post_uri = cards.post_uri
    -- fct_media and fct_links know a post from the first pull that sees it on; before that it would seem to have none.
    where posts.is_in_period and posts.engagement_count is not null
)

select
    report_members.pack_uri,
    posts.period,
    posts.is_reply,
    posts.media_kind,
    count(*) as post_count,
    count(distinct posts.author_did) as author_count,
    cast({{ quantile('posts.engagement_count', 0.25) }} as double) as quarter_engagement,
    cast(median(posts.engagement_count) as double) as median_engagement,
    cast({{ quantile('posts.engagement_count', 0.75) }} as double) as three_quarters_engagement
from posts
inner join {{ ref('int_report_members') }} as report_members on posts.author_did = report_members.did
group by report_members.pack_uri, posts.period, posts.is_reply, posts.media_kind
