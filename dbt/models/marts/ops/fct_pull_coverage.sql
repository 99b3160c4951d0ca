with pulls as (
    select * from {{ ref('int_member_pulls') }}
),

newest as (
    select
        member_did,
        observed_at as last_pulled_at,
        outcome as last_outcome,
        error as last_error
    from (
        select
            member_did,
            observed_at,
            outcome,
            error,
            row_number() over (partition by member_did order by observed_at desc) as newest_first
        from pulls
    ) as numbered
    where newest_first = 1
),

totals as (
    select
        member_did,
        count(*) as pull_count,
        min(observed_at) as first_pulled_at,
        max(case when outcome = 'ok' then observed_at end) as last_ok_at
    from pulls
    group by member_did
),

failures_since as (
    select
        pulls.member_did,
        count(*) as failed_pulls_in_a_row
    from pulls
    inner join totals on pulls.member_did = totals.member_did
    where pulls.outcome = 'failed' and (totals.last_ok_at is null or pulls.observed_at > totals.last_ok_at)
    group by pulls.member_did
),

last_reading_to_the_end as (
    select
        member_did,
        max(covered_to) as read_to_the_end_at
    from pulls
    where is_coverage and reached_end
    group by member_did
),

claims as (
    select
        pulls.member_did,
        pulls.covered_from,
        pulls.covered_to,
        max(pulls.covered_to) over (
            partition by pulls.member_did
            order by pulls.covered_to
            rows between unbounded preceding and 1 preceding
        ) as covered_before
    from pulls
    where pulls.is_coverage
),

-- A pull that read the feed to its end fills every gap before it.
gaps as (
    select
        claims.member_did,
        count(*) as gap_count,
        sum({{ hours_between('claims.covered_before', 'claims.covered_from') }}) as gap_hours
    from claims
    left join last_reading_to_the_end on claims.member_did = last_reading_to_the_end.member_did
    where
        claims.covered_from > claims.covered_before
        and (
            last_reading_to_the_end.read_to_the_end_at is null
            or claims.covered_from > last_reading_to_the_end.read_to_the_end_at
        )
    group by claims.member_did
),

-- Each night reads whom the packs list before it asks for feeds, and may not ask for all of them.
listed as (
    select
        did,
        max(observed_at) as last_listed_at
    from {{ ref('stg_bluesky__starter_pack_members') }}
    where hidden_because is null
    group by did
),

covered as (
    select
        member_did,
        min(covered_from) as covered_from,
        max(covered_to) as covered_to
    from claims
    group by member_did
)

select
    newest.member_did as did,
    totals.first_pulled_at,
    newest.last_pulled_at,
    coalesce(listed.last_listed_at > newest.last_pulled_at, false) as is_unasked,
    newest.last_outcome,
    newest.last_error,
    totals.pull_count,
    totals.last_ok_at,
    coalesce(failures_since.failed_pulls_in_a_row, 0) as failed_pulls_in_a_row,
    coalesce(audits.is_verified and audits.is_complete, false) as is_covered_from_the_beginning,
    case when last_reading_to_the_end.member_did is null then covered.covered_from end as covered_from,
    covered.covered_to,
    last_reading_to_the_end.read_to_the_end_at,
    coalesce(gaps.gap_count, 0) as gap_count,
    coalesce(gaps.gap_hours, 0e0) as gap_hours
from newest
inner join totals on newest.member_did = totals.member_did
left join failures_since on newest.member_did = failures_since.member_did
left join listed on newest.member_did = listed.did
left join covered on newest.member_did = covered.member_did
left join last_reading_to_the_end on newest.member_did = last_reading_to_the_end.member_did
left join gaps on newest.member_did = gaps.member_did
left join {{ ref('int_member_audits') }} as audits on newest.member_did = audits.did
