select
    member_did,
    observed_at,
    item_uri,
    item_at,
    reason_type,
    post_uri,
    post_cid,
    author_did,
    {{ credible_post_counts() }},
    has_issues,
    load_id,
    source_file,
    file_row_number,
    batch_number,
    coalesce(reason_type = 'repost', false) as is_repost
from {{ ref('base_bluesky__author_feed') }}
-- An item without a URI cannot be told from others: it stays in the lake, in `raw`.
where item_uri is not null and post_uri is not null
