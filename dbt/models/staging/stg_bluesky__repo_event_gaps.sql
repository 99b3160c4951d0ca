with source as (
    select * from {{ ref('base_bluesky__repo_event_gaps') }}
)

select
    feed,
    service,
    observed_at,
    gap_from,
    gap_to,
    reason,
    position_before,
    position_after
from source
qualify row_number() over (
    partition by feed, service, observed_at, reason, position_before, position_after order by source_file asc
) = 1
