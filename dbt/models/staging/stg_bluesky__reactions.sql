select *
from {{ ref('base_bluesky__reactions') }}
-- A row that two pages had, or that was loaded again after a crash, counts once.
qualify
    row_number() over (
        partition by post_uri, kind, actor_did, observed_at
        order by load_id desc, source_file desc, file_row_number desc
    ) = 1
