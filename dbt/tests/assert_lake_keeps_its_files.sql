{{ config(severity='warn') }}

-- dbt read a file that has since left the lake. If another lake took its place, the warehouse holds the rows of both:
-- `dbt build --full-refresh` reads the lake anew. If old files expire on purpose, the warehouse keeps their rows.
select source_file
from {{ ref('base_lake__files') }}
where not is_present and table_name in ({{ pulled_tables() }})
