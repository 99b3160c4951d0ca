-- depends_on: {{ ref('base_lake__files') }}
-- depends_on: {{ source('dlt', '_dlt_loads') }}
{#- The pull's schema alone: the live job records a load a minute, which no model needs. -#}
{%- set unread = unread_files('_dlt_loads', schema_name='bluesky') %}
select
    load_id,
    schema_name,
    status,
    inserted_at,
    schema_version_hash,
    source_file,
    {{ unread.batch_number }} as batch_number
from {{ read_lake_json('_dlt_loads', unread.files) }} as files
