with source as (
    select * from {{ ref('base_bluesky__starter_packs') }}
)

select
    uri as pack_uri,
    observed_at,
    seed_type,
    name as pack_name,
    description,
    creator_did,
    creator_handle,
    list_uri,
    list_item_count,
    joined_week_count,
    joined_all_time_count,
    created_at,
    labels,
    is_membership_complete,
    has_issues,
    load_id,
    source_file,
    batch_number
from source
-- What one run saw twice, or what was loaded again after a crash, is one row.
qualify row_number() over (partition by uri, observed_at order by load_id desc, source_file desc) = 1
