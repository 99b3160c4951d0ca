{#- Handles move from person to person: join people by DID. `handle.invalid` is no handle: the service could not check
    the one that they have.

    A pull tells what the service has checked, in both directions. An identity event tells what an account's own server
    says, which may be anybody's handle. So an event gives nobody a handle; it only dates one that the next pull shows.
-#}
with pulled as (
    select
        did,
        observed_at,
        handle
    from {{ ref('stg_bluesky__profiles') }}
    where handle is not null
    union
    select
        did,
        observed_at,
        handle
    from {{ ref('stg_bluesky__starter_pack_members') }}
    where handle is not null
),

claims as (
    select
        events.did,
        events.event_at,
        events.handle,
        min(pulled.observed_at) as next_pulled_at
    from {{ ref('stg_bluesky__repo_events') }} as events
    inner join pulled on events.did = pulled.did and events.event_at <= pulled.observed_at
    where events.kind = 'identity' and events.handle is not null
    group by events.did, events.event_at, events.handle
),

-- A claim is borne out where the next pull shows the handle, and no event between the two says another.
borne_out as (
    select
        claims.did,
        claims.event_at,
        pulled.handle,
        bool_and(pulled.handle is not null) over (
            partition by claims.did, claims.next_pulled_at
            order by claims.event_at desc
        ) as is_borne_out
    from claims
    left join pulled
        on
            claims.did = pulled.did
            and claims.next_pulled_at = pulled.observed_at
            and {{ small_letters('claims.handle') }} = {{ small_letters('pulled.handle') }}
),

sightings as (
    select * from pulled
    where handle != 'handle.invalid'
    union
    select
        did,
        event_at as observed_at,
        handle
    from borne_out
    where is_borne_out and handle != 'handle.invalid'
),

changes as (
    select
        *,
        lag(handle) over (partition by did order by observed_at, handle) as previous_handle
    from sightings
),

numbered as (
    select
        *,
        sum(case when previous_handle is null or previous_handle != handle then 1 else 0 end)
            over (partition by did order by observed_at, handle rows unbounded preceding)
            as span_number
    from changes
),

spans as (
    select
        did,
        handle,
        span_number,
        min(observed_at) as handle_from,
        max(observed_at) as last_observed_at
    from numbered
    group by did, handle, span_number
)

select
    did,
    handle,
    handle_from,
    lead(handle_from) over (partition by did order by span_number) as handle_to,
    last_observed_at,
    lead(handle_from) over (partition by did order by span_number) is null as is_current
from spans
