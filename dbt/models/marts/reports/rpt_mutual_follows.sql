-- Members who may be published and follow each other.
with members as (
    select
        did,
        handle
    from {{ ref('rpt_members') }}
)

select
    ties.pack_uri,
    ties.one_did,
    ties.other_did,
    one.handle as one_handle,
    other.handle as other_handle,
    ties.tied_since
from {{ ref('int_follow_ties') }} as ties
inner join members as one on ties.one_did = one.did
inner join members as other on ties.other_did = other.did
where ties.is_mutual
