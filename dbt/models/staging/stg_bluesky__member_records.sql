select *
from {{ ref('base_bluesky__member_records') }}
-- A row that was loaded again after a crash counts once.
qualify row_number() over (partition by uri, observed_at order by load_id desc, source_file desc) = 1
