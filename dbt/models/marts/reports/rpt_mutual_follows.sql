-- Members who may be published and follow each other.
with members as (
    select
        did,
        handle
    from {{ ref('rpt_members') }}
)

select
    follow_ties.pack_uri,
    follow_ties.one_did,
    follow_ties.other_did,
    one.handle as one_handle,
    other.handle as other_handle,
    follow_ties.tied_since
from {{ ref('int_follow_ties') }} as follow_ties
inner join members as one on follow_ties.one_did = one.did
inner join members as other on follow_ties.other_did = other.did
where follow_ties.is_mutual
