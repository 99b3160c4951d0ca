with links as (
    select
        report_members.pack_uri,
        posts.period,
        links.link_uri,
        max(links.domain) as domain,
        max_by(links.card_title, (posts.posted_at, posts.post_uri)) as title,
        count(*) as post_count,
        count(distinct posts.author_did) as author_count,
        cast(sum(coalesce(posts.engagement_count, 0)) as bigint) as engagement_count,
        max(posts.posted_at) as last_posted_at
    from {{ ref('fct_links') }} as links
    inner join {{ ref('int_period_posts') }} as posts on links.post_uri = posts.post_uri
    inner join {{ ref('int_report_members') }} as report_members on posts.author_did = report_members.did
    where posts.is_in_period and links.domain is not null
    group by report_members.pack_uri, posts.period, links.link_uri
),

-- Ten more than are shown: some may name somebody who is withheld.
candidates as (
    select
        *,
        row_number() over (
            partition by pack_uri, period
            order by author_count desc, engagement_count desc, post_count desc, link_uri asc
        ) as candidate_number
    from links
    qualify candidate_number <= 110
)

select
    candidates.pack_uri,
    candidates.period,
    row_number() over (
        partition by candidates.pack_uri, candidates.period
        order by candidates.candidate_number
    ) as rank_number,
    candidates.link_uri,
    candidates.domain,
    coalesce(domain_types.link_type, 'other') as link_type,
    candidates.title,
    candidates.post_count,
    candidates.author_count,
    candidates.engagement_count,
    candidates.last_posted_at
from candidates
left join {{ ref('int_domain_types') }} as domain_types on candidates.domain = domain_types.domain
where {{ names_nobody_withheld(['candidates.link_uri', 'candidates.title']) }}
qualify rank_number <= 100
