-- depends_on: {{ ref('base_lake__files') }}
-- depends_on: {{ source('dlt', '_dlt_version') }}
{%- set unread = unread_files('_dlt_version') %}
select
    version,
    schema_name,
    version_hash,
    inserted_at,
    schema as schema_json,
    source_file,
    {{ unread.batch_number }} as batch_number
from {{ read_lake_json('_dlt_version', unread.files) }} as files
