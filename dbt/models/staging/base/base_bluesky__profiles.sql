-- depends_on: {{ ref('base_lake__files') }}
-- depends_on: {{ source('bluesky', 'profiles') }}
{%- set unread = unread_files('profiles') %}
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
    indexed_at,
    labels,
    issues is not null as has_issues,
    _dlt_load_id as load_id,
    source_file,
    {{ unread.batch_number }} as batch_number
from {{ read_lake_files('profiles', unread.files) }} as files
