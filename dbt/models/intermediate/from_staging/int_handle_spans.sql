{#- Handles move from person to person: join people by DID. `handle.invalid` is no handle: the service could not check
    the one that they have. -#}
with members as (
    select distinct did
    from {{ ref('stg_bluesky__starter_pack_members') }}
),

sightings as (
    select
        did,
        observed_at,
        handle
    from {{ ref('stg_bluesky__profiles') }}
    where handle != 'handle.invalid'
    union
    select
        did,
        observed_at,
        handle
    from {{ ref('stg_bluesky__starter_pack_members') }}
    where handle != 'handle.invalid'
    union
    select
        events.did,
        events.event_at as observed_at,
        events.handle
    from {{ ref('stg_bluesky__repo_events') }} as events
    inner join members on events.did = members.did
    where events.kind = 'identity' and events.handle != 'handle.invalid'
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
