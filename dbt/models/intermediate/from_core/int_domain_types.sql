{#- A domain has its own type, else that of its nearest parent in int_link_types. -#}
with domains as (
    select distinct domain
    from {{ ref('fct_links') }}
    where domain is not null
),

link_types as (
    select * from {{ ref('int_link_types') }}
)

select
    domains.domain,
    coalesce(
        {{ newest_known('link_types.link_type', 'length(link_types.domain)') }},
        'other'
    ) as link_type
from domains
left join link_types
    on domains.domain = link_types.domain or domains.domain like '%.' || link_types.domain
group by domains.domain
