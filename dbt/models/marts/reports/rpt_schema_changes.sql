{#- The first load makes every column: only what comes later is a change. -#}
with first_load as (
    select min(completed_at) as completed_at
    from {{ ref('fct_loads') }}
)

select changes.*
from {{ ref('fct_schema_changes') }} as changes
inner join first_load on changes.changed_at > first_load.completed_at
