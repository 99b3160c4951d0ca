{{ config(severity='warn') }}

-- A file that was read and is in the lake no more. If somebody put another lake in its place, the warehouse holds both:
-- `dbt build --full-refresh` reads the lake anew. If old files expire on purpose, the warehouse is where they live on.
select source_file
from {{ ref('base_lake__files') }}
where not is_present and table_name in ({{ pulled_tables() }})
