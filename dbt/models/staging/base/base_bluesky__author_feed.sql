-- depends_on: {{ ref('base_lake__files') }}
-- depends_on: {{ source('bluesky', 'author_feed') }}
{#- Only what is narrow, for each time that an item was seen: the texts, which are the bulk of the files, are fetched
    once, for the latest version (int_posts), by `source_file` and `file_row_number`. -#}
{%- set unread = unread_files('author_feed') %}
select
    member_did,
    observed_at,
    item_uri,
    item_at,
    reason_type,
    post_uri,
    post_cid,
    author_did,
    like_count,
    repost_count,
    reply_count,
    quote_count,
    bookmark_count,
    issues is not null as has_issues,
    _dlt_load_id as load_id,
    source_file,
    file_row_number,
    {{ unread.batch_number }} as batch_number
from {{ read_lake_files('author_feed', unread.files) }} as files
