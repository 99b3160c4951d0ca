with clock as (
    select * from {{ ref('int_clock') }}
),

posts as (
    select posts.*
    from {{ ref('int_recent_posts') }} as posts
    inner join clock on posts.posted_at > clock.month_from
),

links as (
    select
        links.link_uri,
        links.domain,
        coalesce(domain_types.link_type, 'other') as link_type,
        links.card_title,
        posts.post_uri,
        posts.author_did,
        posts.posted_at,
        posts.posted_at > clock.week_from as is_last_week,
        coalesce(posts.engagement_count, 0) as engagement_count
    from {{ ref('fct_links') }} as links
    inner join posts on links.post_uri = posts.post_uri
    cross join clock
    left join {{ ref('int_domain_types') }} as domain_types on links.domain = domain_types.domain
),

counted as (
    select
        report_members.pack_uri,
        links.link_uri,
        max(links.domain) as domain,
        max(links.link_type) as link_type,
        max(links.card_title) as title,
        count(*) as post_count,
        cast(sum(case when links.is_last_week then 1 else 0 end) as bigint) as posts_last_week,
        count(distinct links.author_did) as author_count,
        cast(sum(links.engagement_count) as bigint) as engagement_count,
        max(links.posted_at) as last_posted_at
    from links
    inner join {{ ref('int_report_members') }} as report_members on links.author_did = report_members.did
    group by report_members.pack_uri, links.link_uri
)

select
    pack_uri,
    row_number() over (
        partition by pack_uri
        order by author_count desc, engagement_count desc, post_count desc, link_uri asc
    ) as rank_number,
    link_uri,
    domain,
    link_type,
    title,
    post_count,
    posts_last_week,
    author_count,
    engagement_count,
    last_posted_at
from counted
qualify rank_number <= 100
