-- depends_on: {{ ref('base_lake__files') }}
-- depends_on: {{ source('bluesky', 'starter_pack_members') }}
{%- set unread = unread_files('starter_pack_members') %}
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
    issues is not null as has_issues,
    _dlt_load_id as load_id,
    source_file,
    {{ unread.batch_number }} as batch_number
from {{ read_lake_files('starter_pack_members', unread.files) }} as files
