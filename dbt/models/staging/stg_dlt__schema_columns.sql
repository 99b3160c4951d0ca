-- A schema that becomes again what it was (a table dropped with dlt, and made anew) is the same version.
with versions as (
    select *
    from (
        select
            *,
            row_number() over (
                partition by schema_name, version_hash
                order by inserted_at asc, source_file asc
            ) as oldest_first
        from {{ ref('base_dlt__versions') }}
    ) as numbered
    where oldest_first = 1
)

select
    schema_name,
    version_hash,
    version,
    inserted_at,
    table_name,
    column_name,
    data_type
from {{ schema_columns('versions') }} as columns_of_versions
