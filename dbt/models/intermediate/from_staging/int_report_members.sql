with members as (
    select distinct
        packs.published_uri as pack_uri,
        spans.did
    from {{ ref('int_membership_spans') }} as spans
    inner join {{ ref('int_publishable_authors') }} as authors on spans.did = authors.did
    inner join {{ ref('int_published_packs') }} as packs on spans.pack_uri = packs.pack_uri
    -- Whom the service hides in a pack may be published for another one.
    where spans.is_current and spans.is_listed and authors.is_publishable
)

select
    pack_uri,
    did
from members
union all
select distinct
    'all' as pack_uri,
    did
from members
