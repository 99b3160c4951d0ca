select *
from {{ ref('base_bluesky__profiles') }}
-- A row that one run saw twice, or that was loaded again after a crash, counts once.
qualify row_number() over (partition by did, observed_at order by load_id desc, source_file desc) = 1
