-- Groups of members who follow each other, and who connects them. Somebody without a tie is in no group.
with members as (
    select
        did,
        handle
    from {{ ref('rpt_members') }}
),

groups as (
    select * from {{ ref('int_follow_groups') }}
),

ties as (
    select
        pack_uri,
        one_did as did,
        other_did
    from {{ ref('int_follow_ties') }}
    union all
    select
        pack_uri,
        other_did as did,
        one_did as other_did
    from {{ ref('int_follow_ties') }}
),

counted as (
    select
        ties.pack_uri,
        ties.did,
        count(case when own.group_did = neighbours.group_did then 1 end) as ties_within_count,
        count(case when own.group_did != neighbours.group_did then 1 end) as ties_beyond_count
    from ties
    inner join groups as own on ties.pack_uri = own.pack_uri and ties.did = own.did
    inner join groups as neighbours on ties.pack_uri = neighbours.pack_uri and ties.other_did = neighbours.did
    group by ties.pack_uri, ties.did
)

select
    groups.pack_uri,
    groups.did,
    members.handle,
    groups.group_did,
    eponyms.handle as group_handle,
    count(*) over (partition by groups.pack_uri, groups.group_did) as group_member_count,
    counted.ties_within_count,
    counted.ties_beyond_count,
    groups.betweenness
from groups
inner join members on groups.did = members.did
inner join members as eponyms on groups.group_did = eponyms.did
inner join counted on groups.pack_uri = counted.pack_uri and groups.did = counted.did
