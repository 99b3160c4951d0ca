{#- Pulls and account events tell it. A pull that failed for our own reasons says nothing about the member. -#}
with asked as (
    select
        member_did,
        observed_at,
        outcome,
        -- A member who blocks us counts as unavailable, since we cannot see what they delete.
        outcome = 'ok' as is_available
    from {{ ref('int_member_pulls') }}
    where outcome != 'failed'
),

members as (
    select distinct did
    from {{ ref('stg_bluesky__starter_pack_members') }}
),

told as (
    select
        events.did as member_did,
        events.event_at as observed_at,
        case
            when events.is_active then 'ok'
            when events.status in ('suspended', 'takendown') then 'suspended'
            when events.status = 'deleted' then 'not_found'
            else 'deactivated'
        end as outcome,
        events.is_active as is_available
    from {{ ref('stg_bluesky__repo_events') }} as events
    inner join members on events.did = members.did
    where
        events.kind != 'commit'
        -- A server that is out of step or busy says nothing about the account.
        and (events.is_active or coalesce(events.status, '') not in ('desynchronized', 'throttled'))
),

pulls as (
    select * from asked
    union all
    select * from told
    where is_available is not null
),

-- All events of a batch that happened since it began count as of that moment. Whoever is unavailable in one of them is,
-- until a pull sees them again: their feed's order does not hold for a pull, nor from one partition to another.
newest as (
    select
        member_did,
        outcome,
        is_available,
        observed_at as last_observed_at
    from (
        select
            member_did,
            outcome,
            is_available,
            observed_at,
            row_number() over (
                partition by member_did
                order by observed_at desc, is_available asc, outcome asc
            ) as newest_first
        from pulls
    ) as numbered
    where newest_first = 1
),

last_available as (
    select
        member_did,
        max(observed_at) as last_available_at
    from pulls
    where is_available
    group by member_did
),

first_unavailable as (
    select
        pulls.member_did,
        min(pulls.observed_at) as unavailable_at
    from pulls
    left join last_available on pulls.member_did = last_available.member_did
    where
        not pulls.is_available
        and (last_available.last_available_at is null or pulls.observed_at >= last_available.last_available_at)
    group by pulls.member_did
)

select
    newest.member_did as did,
    case when newest.is_available then 'active' else newest.outcome end as status,
    newest.is_available,
    newest.last_observed_at,
    last_available.last_available_at,
    first_unavailable.unavailable_at
from newest
left join last_available on newest.member_did = last_available.member_did
left join first_unavailable on newest.member_did = first_unavailable.member_did
