with schema_columns as (
    select * from {{ ref('stg_dlt__schema_columns') }}
),

versions as (
    select distinct
        schema_name,
        version_hash,
        inserted_at,
        dense_rank() over (partition by schema_name order by inserted_at, version_hash) as version_number
    from schema_columns
),

sightings as (
    select
        schema_columns.schema_name,
        versions.version_number,
        schema_columns.inserted_at,
        schema_columns.table_name,
        schema_columns.column_name,
        schema_columns.data_type,
        lag(schema_columns.data_type) over (
            partition by schema_columns.schema_name, schema_columns.table_name, schema_columns.column_name
            order by versions.version_number
        ) as previous_data_type,
        row_number() over (
            partition by schema_columns.schema_name, schema_columns.table_name, schema_columns.column_name
            order by versions.version_number
        ) as sighting_number
    from schema_columns
    inner join versions
        on
            schema_columns.schema_name = versions.schema_name
            and schema_columns.version_hash = versions.version_hash
)

select
    schema_name,
    inserted_at as changed_at,
    table_name,
    column_name,
    case when sighting_number = 1 then 'column_added' else 'type_changed' end as change,
    data_type,
    previous_data_type
from sightings
where
    sighting_number = 1
    or coalesce(data_type, '') != coalesce(previous_data_type, '')
