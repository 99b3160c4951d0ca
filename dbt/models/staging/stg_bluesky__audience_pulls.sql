select *
from {{ ref('base_bluesky__audience_pulls') }}
-- A row that was loaded again after a crash counts once.
qualify row_number() over (partition by kind, subject_uri, observed_at order by load_id desc, source_file desc) = 1
