with source as (
    select * from {{ ref('base_bluesky__author_feed') }}
)

select
    member_did,
    observed_at,
    item_uri,
    item_at,
    coalesce(reason_type = 'repost', false) as is_repost,
    post_uri,
    post_cid,
    author_did,
    like_count,
    repost_count,
    reply_count,
    quote_count,
    bookmark_count,
    has_issues,
    load_id,
    source_file,
    file_row_number,
    batch_number
from source
-- An item that cannot be told from others stays in the lake, in `raw`.
where item_uri is not null and post_uri is not null
