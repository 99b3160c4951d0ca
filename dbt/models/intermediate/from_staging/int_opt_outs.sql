{#- Pulls and events tell it. That an opt-out was taken back is for the next pull to say: the service lists the member
    again, or hides them for another reason, since their repository was asked. -#}
with memberships as (
    select
        pack_uri,
        did,
        observed_at,
        is_listed,
        coalesce(hidden_because, '') as hidden_because
    from {{ ref('stg_bluesky__starter_pack_members') }}
),

-- Each once: a night sees each pack and each member again.
members as (
    select distinct
        pack_uri,
        did
    from memberships
),

lists as (
    select distinct
        pack_uri,
        list_uri
    from {{ ref('stg_bluesky__starter_packs') }}
),

packs as (
    select
        members.pack_uri,
        members.did,
        lists.list_uri
    from members
    inner join lists on members.pack_uri = lists.pack_uri
),

told as (
    select
        pack_uri,
        did,
        observed_at
    from memberships
    where hidden_because in ('opted_out', 'opt_out_unknown')
    union
    select
        packs.pack_uri,
        packs.did,
        events.event_at as observed_at
    from {{ ref('stg_bluesky__repo_events') }} as events
    inner join packs on events.did = packs.did
    where
        events.kind = 'commit'
        and events.collection = 'app.bsky.graph.referencelistoptout'
        and events.operation in ('create', 'update')
        -- An event may lack its record: then it may be of any list.
        and (events.subject_uri is null or events.subject_uri in (packs.list_uri, packs.pack_uri))
),

taken_back as (
    select
        pack_uri,
        did,
        max(observed_at) as observed_at
    from memberships
    where is_listed or hidden_because in ('blocks_creator', 'blocked_by_creator')
    group by pack_uri, did
)

select
    told.pack_uri,
    told.did,
    told.observed_at,
    taken_back.observed_at is null or told.observed_at > taken_back.observed_at as is_current
from told
left join taken_back on told.pack_uri = taken_back.pack_uri and told.did = taken_back.did
