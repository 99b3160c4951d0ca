-- A post counts once for a domain, however often it names it.
with uses as (
    select distinct
        posts.post_uri,
        posts.author_did,
        posts.period,
        posts.is_in_period,
        posts.engagement_count,
        links.domain
    from {{ contents_of_periods(ref('fct_links')) }} as links
    inner join {{ ref('int_period_posts') }} as posts on links.post_uri = posts.post_uri
    where links.domain is not null
),

counted as (
    select
        report_members.pack_uri,
        uses.period,
        uses.domain,
        count(case when uses.is_in_period then 1 end) as post_count,
        count(case when not uses.is_in_period then 1 end) as previous_post_count,
        count(distinct case when uses.is_in_period then uses.author_did end) as author_count,
        cast(sum(case when uses.is_in_period then coalesce(uses.engagement_count, 0) else 0 end) as bigint)
            as engagement_count
    from uses
    inner join {{ ref('int_report_members') }} as report_members on uses.author_did = report_members.did
    group by report_members.pack_uri, uses.period, uses.domain
)

select
    counted.pack_uri,
    counted.period,
    counted.domain,
    coalesce(domain_types.link_type, 'other') as link_type,
    counted.post_count,
    counted.previous_post_count,
    counted.post_count - counted.previous_post_count as post_change,
    counted.author_count,
    counted.engagement_count,
    row_number() over (
        partition by counted.pack_uri, counted.period
        order by counted.post_count desc, counted.author_count desc, counted.domain asc
    ) as rank_number
from counted
left join {{ ref('int_domain_types') }} as domain_types on counted.domain = domain_types.domain
where {{ names_nobody_withheld(['counted.domain'], among='counted.post_count + counted.previous_post_count > 0') }}
