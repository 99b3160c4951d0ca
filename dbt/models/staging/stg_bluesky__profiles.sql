with source as (
    select * from {{ ref('base_bluesky__profiles') }}
)

select
    did,
    observed_at,
    handle,
    display_name,
    description,
    avatar_url,
    followers_count,
    follows_count,
    posts_count,
    pinned_post_uri,
    joined_via_pack_uri,
    created_at,
    labels,
    has_issues,
    load_id,
    source_file,
    batch_number
from source
-- What one run saw twice, or what was loaded again after a crash, is one row.
qualify row_number() over (partition by did, observed_at order by load_id desc, source_file desc) = 1
