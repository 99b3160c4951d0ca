with loads as (
    select * from {{ ref('base_dlt__loads') }}
),

state_files as (
    select distinct load_id
    from {{ ref('base_lake__files') }}
    where table_name = '_dlt_pipeline_state'
),

data_files as (
    select
        load_id,
        count(*) as file_count,
        bool_or(table_name in ({{ checked_tables() }})) as is_of_checks
    from {{ ref('base_lake__files') }}
    where load_id is not null and table_name in ({{ pulled_tables() }}, {{ checked_tables() }})
    group by load_id
),

completed as (
    select
        load_id,
        max(inserted_at) as completed_at,
        max(schema_version_hash) as schema_version_hash
    from loads
    where status = 0
    group by load_id
),

load_ids as (
    select load_id from completed
    union
    select load_id from data_files
)

select
    load_ids.load_id,
    {{ time_of_seconds('load_ids.load_id') }} as started_at,
    completed.completed_at,
    completed.schema_version_hash,
    coalesce(data_files.file_count, 0) as file_count,
    coalesce(data_files.is_of_checks, false) as is_of_checks,
    case
        when completed.load_id is not null then '_dlt_loads'
        -- dlt writes data, then state, then _dlt_loads: after a crash between the last two, all of the data is there.
        when state_files.load_id is not null then '_dlt_pipeline_state'
    end as evidence,
    completed.load_id is not null or state_files.load_id is not null as is_complete
from load_ids
left join completed on load_ids.load_id = completed.load_id
left join state_files on load_ids.load_id = state_files.load_id
left join data_files on load_ids.load_id = data_files.load_id
