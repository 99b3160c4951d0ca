select
    * replace (
        {{ credible_post_counts() }}
    ),
    coalesce(reason_type = 'repost', false) as is_repost
from {{ ref('base_bluesky__author_feed') }}
-- An item without a URI cannot be told from others: it stays in the lake, in `raw`.
where item_uri is not null and post_uri is not null
