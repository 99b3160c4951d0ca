select
    did,
    asked_at,
    last_outcome,
    last_error,
    audited_at,
    coalesce(is_verified, false) as is_verified,
    coalesce(is_complete, false) as is_complete,
    expected_count,
    present_count,
    hidden_count,
    unreadable_count,
    gone_count,
    -- Of what the service shows: a hidden post cannot be read.
    cast(
        case
            when expected_count <= hidden_count then 1e2
            else 1e2 * present_count / (expected_count - hidden_count)
        end as double
    ) as coverage_percent
from {{ ref('int_member_audits') }}
