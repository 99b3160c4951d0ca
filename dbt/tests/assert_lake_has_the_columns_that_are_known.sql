{{ config(severity='warn') }}

{#- Compares the newest schema of the lake with the columns of the sources. Marts leave out a column that the sources
    lack, and hold null for one that the lake lacks. Both work, and the warning tells whoever runs dbt. -#}
with known as (
    select
        columns_of_sources.table_name,
        columns_of_sources.column_name
    from (
        values
        {%- if execute %}
        {%- for source in graph.sources.values() if source.source_name == 'bluesky' %}
        {%- for column in source.columns.values() %}
        ('{{ source.name }}', '{{ column.name }}'),
        {%- endfor %}
        {%- endfor %}
        {%- endif %}
        (null, null)
    ) as columns_of_sources (table_name, column_name)
    where columns_of_sources.table_name is not null
),

versions as (
    select
        table_name,
        column_name,
        dense_rank() over (order by inserted_at desc, version_hash desc) as newest_first
    from {{ ref('stg_dlt__schema_columns') }}
    where table_name in (select raw_tables.table_name from known as raw_tables)
),

newest_version as (
    select *
    from versions
    where newest_first = 1
)

select
    coalesce(known.table_name, newest_version.table_name) as table_name,
    coalesce(known.column_name, newest_version.column_name) as column_name,
    case when known.column_name is null then 'is not known' else 'is not in the lake' end as problem
from known
full outer join newest_version
    on
        known.table_name = newest_version.table_name
        and known.column_name = newest_version.column_name
where
    (known.column_name is null or newest_version.column_name is null)
    and coalesce(known.table_name, newest_version.table_name) in (select there.table_name from newest_version as there)
