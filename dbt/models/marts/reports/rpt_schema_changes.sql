{#- The first load of a table makes every column: only what comes later is a change of what Bluesky sends. -#}
with changes as (
    select
        *,
        min(changed_at) over (partition by schema_name, table_name) as table_made_at
    from {{ ref('fct_schema_changes') }}
),

first_load as (
    select min(completed_at) as completed_at
    from {{ ref('fct_loads') }}
)

select
    changes.schema_name,
    changes.changed_at,
    changes.table_name,
    changes.column_name,
    changes.change,
    changes.data_type,
    changes.previous_data_type
from changes
inner join first_load on changes.changed_at > first_load.completed_at
where changes.changed_at > changes.table_made_at
