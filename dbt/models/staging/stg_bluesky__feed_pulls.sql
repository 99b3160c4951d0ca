with source as (
    select * from {{ ref('base_bluesky__feed_pulls') }}
)

select
    member_did,
    observed_at,
    outcome,
    error,
    page_count,
    item_count,
    new_item_count,
    covered_from,
    covered_to,
    reached_end,
    posts_count,
    cursor_before,
    cursor_after,
    load_id,
    source_file,
    batch_number
from source
-- What one run saw twice, or what was loaded again after a crash, is one row.
qualify row_number() over (partition by member_did, observed_at order by load_id desc, source_file desc) = 1
