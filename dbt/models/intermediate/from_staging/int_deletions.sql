{#- What is gone, by those who know: an event of the repository, the repository or the service that was asked, and the
    state of the account. That a feed does not show a record is no evidence but a question (int_open_questions). -#}
with deletions_told as (
    select
        uri,
        collection,
        did,
        event_at
    from {{ ref('int_record_states') }}
    where is_deleted and collection in ('app.bsky.feed.post', 'app.bsky.feed.repost')
),

-- A delete event gives the exact time. The service may go on showing the record for some hours; if a feed shows it more
-- than a day later, or the repository has it later, its author made it anew while the live job was not listening.
told_by_events as (
    select
        told.uri,
        told.collection,
        told.did,
        told.event_at as last_seen_at,
        told.event_at as missed_at,
        'delete_event' as evidence
    from deletions_told as told
    left join {{ ref('int_record_sightings') }} as seen on told.uri = seen.uri
    left join {{ ref('int_record_answers') }} as answers on told.uri = answers.uri
    where
        (seen.last_shown_at is null or {{ before('seen.last_shown_at', 1) }} < told.event_at)
        and (answers.last_there_at is null or answers.last_there_at <= told.event_at)
),

-- A record that was seen later than the answer is there: in a feed; in the repository too, unless the question is
-- whether it is shown.
answered as (
    select
        answers.uri,
        answers.collection,
        answers.did,
        answers.known_at,
        answers.known_outcome as evidence,
        seen.last_shown_at,
        case when not states.is_deleted then states.event_at end as written_at,
        case
            when answers.known_outcome = 'hidden_by_service' then seen.last_shown_at
            else
                greatest(
                    seen.last_shown_at, answers.last_there_at, case when not states.is_deleted then states.event_at end
                )
        end as last_seen_at
    from {{ ref('int_record_answers') }} as answers
    left join {{ ref('int_record_sightings') }} as seen on answers.uri = seen.uri
    left join {{ ref('int_record_states') }} as states on answers.uri = states.uri
    where answers.known_outcome in ('record_gone', 'hidden_by_service')
),

-- It was gone when that was first answered since it was last seen.
told_by_answers as (
    select
        answered.uri,
        answered.collection,
        answered.did,
        coalesce(
            answered.last_seen_at,
            case when answered.written_at <= min(checks.observed_at) then answered.written_at end
        ) as last_seen_at,
        min(checks.observed_at) as missed_at,
        answered.evidence
    from answered
    inner join {{ ref('stg_bluesky__record_checks') }} as checks
        on
            answered.uri = checks.uri
            and answered.evidence = checks.outcome
            and (answered.last_seen_at is null or answered.last_seen_at <= checks.observed_at)
    left join told_by_events on answered.uri = told_by_events.uri
    where
        told_by_events.uri is null
        and (answered.last_seen_at is null or answered.last_seen_at <= answered.known_at)
    group by
        answered.uri,
        answered.collection,
        answered.did,
        answered.last_seen_at,
        answered.written_at,
        answered.evidence
),

records as (
    select * from told_by_events
    union all
    select * from told_by_answers
)

select
    case when collection = 'app.bsky.feed.post' then 'post' else 'repost' end as subject_type,
    uri as subject_uri,
    did,
    last_seen_at,
    missed_at,
    evidence
from records
union all
select
    'account' as subject_type,
    'at://' || did as subject_uri,
    did,
    last_available_at as last_seen_at,
    unavailable_at as missed_at,
    status as evidence
from {{ ref('int_author_availability') }}
where not is_available and status in ('deactivated', 'suspended', 'not_found')
