with clock as (
    select * from {{ ref('int_clock') }}
),

posts as (
    select posts.*
    from {{ ref('int_recent_posts') }} as posts
    inner join clock on posts.posted_at > clock.month_from
)

select
    report_members.pack_uri,
    coalesce(posts.primary_language, 'unknown') as primary_language,
    count(*) as post_count,
    count(distinct posts.author_did) as author_count
from posts
inner join {{ ref('int_report_members') }} as report_members on posts.author_did = report_members.did
group by report_members.pack_uri, coalesce(posts.primary_language, 'unknown')
