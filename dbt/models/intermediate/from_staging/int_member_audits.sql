{#- The last audit that read a member's repository, and the last that was tried. An audit counts only if all of its load
    arrived: what it healed is in it. -#}
with audits as (
    select
        audits.*,
        audits.outcome in ('verified', 'listed') as is_reading,
        row_number() over (partition by audits.member_did order by audits.observed_at desc) as newest_first,
        row_number() over (
            partition by audits.member_did, audits.outcome in ('verified', 'listed')
            order by audits.observed_at desc
        ) as newest_first_of_its_kind
    from {{ ref('stg_bluesky__feed_audits') }} as audits
    inner join {{ ref('int_complete_loads') }} as complete_loads on audits.load_id = complete_loads.load_id
),

newest as (
    select *
    from audits
    where newest_first = 1
),

readings as (
    select *
    from audits
    where is_reading and newest_first_of_its_kind = 1
)

select
    newest.member_did as did,
    newest.observed_at as asked_at,
    newest.outcome as last_outcome,
    newest.error as last_error,
    -- A repository that is at the same revision still is as it was read.
    case when newest.outcome = 'unchanged' then newest.observed_at else readings.observed_at end as audited_at,
    readings.outcome = 'verified' as is_verified,
    readings.expected_count,
    readings.present_count + readings.healed_count as present_count,
    readings.hidden_count,
    readings.unreadable_count,
    readings.gone_count,
    readings.present_count + readings.healed_count + readings.hidden_count >= readings.expected_count as is_complete
from newest
left join readings on newest.member_did = readings.member_did
