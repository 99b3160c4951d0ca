with links as (
    select
        report_members.pack_uri,
        posts.period,
        links.link_uri,
        max(links.domain) as domain,
        {{ newest_known('links.card_title', '(posts.posted_at, posts.post_uri)') }} as title,
        count(*) as post_count,
        count(distinct posts.author_did) as author_count,
        cast(sum(coalesce(posts.engagement_count, 0)) as bigint) as engagement_count,
        max(posts.posted_at) as last_posted_at
    from {{ contents_of_periods(ref('fct_links')) }} as links
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
            order by {{ descending(['author_count', 'engagement_count', 'post_count', 'link_uri']) }}
        ) as candidate_number
    from links
),

linked as (
    select
        *,
        {{ linked_post('link_uri', 1) }} as linked_author,
        {{ linked_post('link_uri', 2) }} as linked_key
    from candidates
    where candidate_number <= 110
),

-- The card of a link to a post has the post's words: not of one that is gone, or may be. A handle in the address may be
-- any that its author had.
hidden_posts as (
    select
        {{ rkey_of('subject_uri') }} as post_rkey,
        did
    from {{ ref('int_deletions') }}
    where subject_type = 'post'
    union
    select
        {{ rkey_of('uri') }} as post_rkey,
        {{ did_of('uri') }} as did
    from {{ ref('int_records_in_doubt') }}
),

ranked as (
    select
        linked.pack_uri,
        linked.period,
        row_number() over (
            partition by linked.pack_uri, linked.period
            order by linked.candidate_number
        ) as rank_number,
        linked.link_uri,
        linked.domain,
        coalesce(domain_types.link_type, 'other') as link_type,
        linked.title,
        linked.post_count,
        linked.author_count,
        linked.engagement_count,
        linked.last_posted_at
    from linked
    left join {{ ref('int_domain_types') }} as domain_types on linked.domain = domain_types.domain
    where
        {{ names_nobody_withheld(['linked.link_uri', 'linked.title'], among='linked.candidate_number <= 110') }}
        and not exists (
            select 1
            from hidden_posts
            where
                hidden_posts.post_rkey = linked.linked_key
                and (hidden_posts.did = linked.linked_author or linked.linked_author not like 'did:%')
        )
)

select *
from ranked
where rank_number <= 100
