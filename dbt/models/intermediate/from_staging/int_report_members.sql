with members as (
    select distinct
        spans.pack_uri,
        spans.did
    from {{ ref('int_membership_spans') }} as spans
    inner join {{ ref('int_publishable_authors') }} as authors on spans.did = authors.did
    where spans.is_current and authors.is_publishable
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
