{#- A member has left when a later run read every membership of the pack, in a complete load, without them; and from
    when they opt out of it. -#}
with memberships as (
    select
        pack_uri,
        did,
        observed_at,
        is_listed,
        hidden_because,
        load_id
    from {{ ref('stg_bluesky__starter_pack_members') }}
),

packs as (
    select * from {{ ref('stg_bluesky__starter_packs') }}
),

complete_loads as (
    select * from {{ ref('int_complete_loads') }}
),

complete_looks as (
    select
        packs.pack_uri,
        packs.observed_at
    from packs
    inner join complete_loads on packs.load_id = complete_loads.load_id
    where packs.is_membership_complete
    group by packs.pack_uri, packs.observed_at
),

members as (
    select distinct
        pack_uri,
        did
    from memberships
),

-- The rows of a pack's members carry the observed_at of the pack's own row. Whoever opts out is absent from then on.
absences as (
    select
        members.pack_uri,
        members.did,
        complete_looks.observed_at
    from members
    inner join complete_looks on members.pack_uri = complete_looks.pack_uri
    left join memberships
        on
            members.pack_uri = memberships.pack_uri
            and members.did = memberships.did
            and complete_looks.observed_at = memberships.observed_at
    where memberships.did is null
    union all
    select
        pack_uri,
        did,
        observed_at
    from {{ ref('int_opt_outs') }}
),

looks as (
    select
        pack_uri,
        did,
        observed_at,
        is_listed,
        hidden_because,
        true as is_member
    from memberships
    where coalesce(hidden_because not in ('opted_out', 'opt_out_unknown'), true)
    union all
    select
        pack_uri,
        did,
        observed_at,
        false as is_listed,
        null as hidden_because,
        false as is_member
    from absences
),

changes as (
    select
        *,
        -- At one moment an opt-out comes before the pull, which shows that it was taken back: see int_opt_outs.
        lag(is_member) over (partition by pack_uri, did order by observed_at, is_member) as was_member
    from looks
),

numbered as (
    select
        *,
        sum(case when was_member is null or was_member != is_member then 1 else 0 end)
            over (partition by pack_uri, did order by observed_at, is_member rows unbounded preceding)
            as span_number
    from changes
),

spans as (
    select
        pack_uri,
        did,
        span_number,
        is_member,
        min(observed_at) as first_observed_at,
        max(observed_at) as last_observed_at,
        {{ newest_known('is_listed', 'observed_at') }} as is_listed,
        {{ value_at_newest('hidden_because', 'observed_at') }} as hidden_because
    from numbered
    group by pack_uri, did, span_number, is_member
),

with_neighbours as (
    select
        *,
        lag(last_observed_at) over (partition by pack_uri, did order by span_number) as absent_until,
        lead(first_observed_at) over (partition by pack_uri, did order by span_number) as absent_from
    from spans
)

select
    pack_uri,
    did,
    first_observed_at as member_from,
    absent_from as member_to,
    absent_until as not_member_at,
    last_observed_at,
    is_listed,
    hidden_because,
    absent_from is null as is_current
from with_neighbours
where is_member
