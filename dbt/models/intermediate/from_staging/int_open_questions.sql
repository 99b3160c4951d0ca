{#- What to ask those who know. An event or the repository settles for good that a record is gone; that it is there, yet
    in no feed, or that its account is not to be had, settles for some days. Of who opted out, nobody asks. -#}
with clock as (
    select * from {{ ref('int_clock') }}
),

gone as (
    select subject_uri
    from {{ ref('int_deletions') }}
    where evidence in ('delete_event', 'record_gone')
),

answers as (
    select * from {{ ref('int_record_answers') }}
),

missed as (
    select missed.*
    from {{ ref('int_missed_records') }} as missed
    left join {{ ref('int_opted_out_authors') }} as opted_out on missed.did = opted_out.did
    where opted_out.did is null
)

select
    missed.uri,
    missed.did,
    missed.collection,
    missed.asked_because
from missed
cross join clock
left join gone on missed.uri = gone.subject_uri
left join answers on missed.uri = answers.uri
where
    gone.subject_uri is null
    and (
        answers.settled_at is null
        or answers.settled_at < missed.last_seen_at
        or answers.settled_at <= {{ before('clock.newest_observed_at', var('recheck_days')) }}
    )
union all
-- What an audit compared and nobody could tell of: a feed showed it once, or the repository has it and not the lake.
-- Where the repository told its version, the record's own block is what cannot be read.
select
    answers.uri,
    answers.did,
    answers.collection,
    answers.asked_because
from answers
left join {{ ref('int_record_sightings') }} as seen on answers.uri = seen.uri
left join gone on answers.uri = gone.subject_uri
left join missed on answers.uri = missed.uri
left join {{ ref('int_opted_out_authors') }} as opted_out on answers.did = opted_out.did
where
    answers.outcome = 'unknown'
    and opted_out.did is null
    and (
        seen.last_shown_at <= answers.answered_at
        or (seen.last_shown_at is null and answers.asked_because = 'audit' and answers.cid is null)
    )
    and gone.subject_uri is null
    and missed.uri is null
