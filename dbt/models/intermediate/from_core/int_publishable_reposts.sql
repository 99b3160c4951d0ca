{{ config(materialized='view') }}

select *
from {{ ref('int_reposts') }}
where is_publishable
