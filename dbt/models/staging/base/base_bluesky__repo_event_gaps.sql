-- depends_on: {{ ref('base_lake__files') }}
-- depends_on: {{ source('bluesky', 'repo_event_gaps') }}
{%- set unread = unread_files('repo_event_gaps') %}
select
    feed,
    service,
    observed_at,
    gap_from,
    gap_to,
    reason,
    position_before,
    position_after,
    _dlt_load_id as load_id,
    source_file,
    {{ unread.batch_number }} as batch_number
from {{ read_lake_files('repo_event_gaps', unread.files) }} as files
