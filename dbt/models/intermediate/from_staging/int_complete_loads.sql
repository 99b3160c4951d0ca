{{ config(materialized='view') }}

select load_id
from {{ ref('stg_dlt__loads') }}
where is_complete
