with gaps as (
    select * from {{ ref('stg_bluesky__repo_event_gaps') }}
),

pulls as (
    select
        load_id,
        min(observed_at) as began_at
    from {{ ref('int_member_pulls') }}
    where is_coverage
    group by load_id
)

select
    gaps.feed,
    gaps.service,
    gaps.observed_at,
    gaps.gap_from,
    gaps.gap_to,
    {{ hours_between('gaps.gap_from', 'gaps.gap_to') }} as gap_hours,
    gaps.reason,
    gaps.position_before,
    gaps.position_after,
    min(pulls.began_at) as next_pulled_at
from gaps
left join pulls on coalesce(gaps.gap_to, gaps.observed_at) < pulls.began_at
group by
    gaps.feed,
    gaps.service,
    gaps.observed_at,
    gaps.gap_from,
    gaps.gap_to,
    gaps.reason,
    gaps.position_before,
    gaps.position_after
