{#- From when to when a record was in its repository. Nearly all records are made once; one that is made again under its
    old key has two spans. -#}
with facts as (
    select
        *,
        lag(is_there) over (partition by uri order by rev asc, is_there desc, known_at asc) as was_there
    from {{ ref('int_member_record_facts') }}
),

numbered as (
    select
        *,
        sum(case when is_there and not coalesce(was_there, false) then 1 else 0 end)
            over (partition by uri order by rev asc, is_there desc, known_at asc rows unbounded preceding)
            as span_number
    from facts
),

-- Before its first span, nothing but the deletion of a record is known.
spans as (
    select
        uri,
        cast(span_number as integer) as span_number,
        max(did) as did,
        max(collection) as collection,
        min(case when is_there then known_at end) as first_seen_at,
        {{ oldest_known('known_because', '(rev, known_at, known_because)') }} as began_because,
        max(case when is_there then known_at end) as last_seen_at,
        {{ newest_known('subject_uri', 'case when is_there then (rev, known_at, known_because) end') }} as subject_uri,
        {{ newest_known('subject_did', 'case when is_there then (rev, known_at, known_because) end') }} as subject_did,
        {{ newest_known('created_at', 'case when is_there then (rev, known_at, known_because) end') }} as created_at,
        {{ oldest_known('known_at', 'case when not is_there then (rev, known_at, known_because) end') }}
            as ended_before,
        {{ oldest_known('known_because', 'case when not is_there then (rev, known_at, known_because) end') }}
            as ended_because
    from numbered
    where span_number > 0
    group by uri, span_number
),

proofs as (
    select audits.*
    from {{ ref('stg_bluesky__feed_audits') }} as audits
    inner join {{ ref('int_complete_loads') }} as complete_loads on audits.load_id = complete_loads.load_id
    where audits.outcome in ('verified', 'unchanged')
),

-- Where an audit says nothing of a record that the lake knows, it is still there.
audits as (
    select
        member_did as did,
        collection,
        observed_at
    from {{ explode('proofs', ['member_did', 'observed_at'], 'audited_collections', element='collection') }} as exploded
),

newest_audits as (
    select
        did,
        collection,
        max(observed_at) as observed_at
    from audits
    group by did, collection
),

audits_before_ends as (
    select
        spans.uri,
        spans.span_number,
        max(audits.observed_at) as observed_at
    from spans
    inner join audits
        on
            spans.did = audits.did
            and spans.collection = audits.collection
            and spans.ended_before > audits.observed_at
    where spans.ended_because = 'record_gone'
    group by spans.uri, spans.span_number
)

select
    spans.uri,
    spans.span_number,
    spans.did,
    spans.collection,
    spans.subject_uri,
    spans.subject_did,
    -- Whoever imports dates back, and clients' clocks run ahead.
    least(coalesce(spans.created_at, spans.first_seen_at), spans.first_seen_at) as began_at,
    spans.began_because,
    spans.first_seen_at,
    case
        when spans.ended_because = 'delete_event' then spans.ended_before
        when spans.ended_because = 'record_gone'
            then least(greatest(spans.last_seen_at, audits_before_ends.observed_at), spans.ended_before)
        else greatest(spans.last_seen_at, newest_audits.observed_at)
    end as last_known_at,
    spans.ended_before,
    spans.ended_because
from spans
left join newest_audits on spans.did = newest_audits.did and spans.collection = newest_audits.collection
left join audits_before_ends
    on spans.uri = audits_before_ends.uri and spans.span_number = audits_before_ends.span_number
