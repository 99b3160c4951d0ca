select *
from {{ ref('base_bluesky__repo_event_gaps') }}
-- A compacted file holds again what small ones held.
qualify row_number() over (
    partition by feed, service, observed_at, reason, position_before, position_after order by source_file asc
) = 1
