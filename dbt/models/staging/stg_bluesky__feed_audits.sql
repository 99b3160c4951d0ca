select *
from {{ ref('base_bluesky__feed_audits') }}
-- A row that one run saw twice, or that was loaded again after a crash, counts once.
qualify row_number() over (partition by member_did, observed_at order by load_id desc, source_file desc) = 1
