-- depends_on: {{ ref('base_lake__files') }}
-- depends_on: {{ source('bluesky', 'feed_pulls') }}
{%- set unread = unread_files('feed_pulls') %}
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
    _dlt_load_id as load_id,
    source_file,
    {{ unread.batch_number }} as batch_number
from {{ read_lake_files('feed_pulls', unread.files) }} as files
