with source as (
    select * from {{ ref('base_bluesky__starter_pack_members') }}
)

select
    pack_uri,
    did,
    observed_at,
    seed_type,
    list_item_uri,
    is_listed,
    handle,
    display_name,
    labels,
    has_issues,
    load_id,
    source_file,
    batch_number
from source
-- What one run saw twice, or what was loaded again after a crash, is one row.
qualify row_number() over (partition by pack_uri, did, observed_at order by load_id desc, source_file desc) = 1
