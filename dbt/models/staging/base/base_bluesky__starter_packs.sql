-- depends_on: {{ ref('base_lake__files') }}
-- depends_on: {{ source('bluesky', 'starter_packs') }}
{%- set unread = unread_files('starter_packs') %}
select
    uri,
    observed_at,
    seed_type,
    name,
    description,
    creator_did,
    creator_handle,
    list_uri,
    list_item_count,
    joined_week_count,
    joined_all_time_count,
    created_at,
    indexed_at,
    labels,
    is_membership_complete,
    issues is not null as has_issues,
    _dlt_load_id as load_id,
    source_file,
    {{ unread.batch_number }} as batch_number
from {{ read_lake_files('starter_packs', unread.files) }} as files
