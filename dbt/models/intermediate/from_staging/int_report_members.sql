with members as (
    select distinct
        spans.pack_uri,
        spans.did
    from {{ ref('int_membership_spans') }} as spans
    inner join {{ ref('int_publishable_authors') }} as authors on spans.did = authors.did
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
