select
    report_members.pack_uri,
    posts.period,
    coalesce(posts.primary_language, 'unknown') as primary_language,
    count(*) as post_count,
    count(distinct posts.author_did) as author_count,
    row_number() over (
        partition by report_members.pack_uri, posts.period
        order by count(*) desc, coalesce(posts.primary_language, 'unknown') asc
    ) as rank_number
from {{ ref('int_period_posts') }} as posts
inner join {{ ref('int_report_members') }} as report_members on posts.author_did = report_members.did
where posts.is_in_period
group by report_members.pack_uri, posts.period, coalesce(posts.primary_language, 'unknown')
