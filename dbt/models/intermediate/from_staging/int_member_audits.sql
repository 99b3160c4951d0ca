{#- The last audit that read a member's repository, and the last that was tried. An audit counts only if all of its load
    arrived: what it healed is in it. -#}
with audits as (
    select
        audits.*,
        audits.outcome in ('verified', 'listed') as is_reading
    from {{ ref('stg_bluesky__feed_audits') }} as audits
    inner join {{ ref('int_complete_loads') }} as complete_loads on audits.load_id = complete_loads.load_id
),

newest as (
    select *
    from audits
    qualify row_number() over (partition by member_did order by observed_at desc) = 1
),

readings as (
    select *
    from audits
    where is_reading
    qualify row_number() over (partition by member_did order by observed_at desc) = 1
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
