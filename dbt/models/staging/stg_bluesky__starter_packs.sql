select * rename (uri as pack_uri, name as pack_name)
from {{ ref('base_bluesky__starter_packs') }}
-- A row that one run saw twice, or that was loaded again after a crash, counts once.
qualify row_number() over (partition by uri, observed_at order by load_id desc, source_file desc) = 1
