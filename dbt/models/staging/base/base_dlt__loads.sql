-- depends_on: {{ ref('base_lake__files') }}
-- depends_on: {{ source('dlt', '_dlt_loads') }}
{%- set unread = unread_files('_dlt_loads') %}
select
    load_id,
    schema_name,
    status,
    inserted_at,
    schema_version_hash,
    source_file,
    {{ unread.batch_number }} as batch_number
from {{ read_lake_json('_dlt_loads', unread.files) }} as files
