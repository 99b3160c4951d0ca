select
    schema_name,
    version_hash,
    version,
    inserted_at,
    table_name,
    column_name,
    data_type
from {{ schema_columns(ref('base_dlt__versions')) }} as columns_of_versions
