{{ config(unique_key='source_file', incremental_strategy='delete+insert', meta={'input': none}) }}

{#- The first model of the graph: it lists the files itself, and the other base models read the list. -#}
with listed as (
    {{ list_lake_files('**/*.parquet') }}
    union all
    {{ list_lake_files('_dlt_*/*.jsonl') }}
),

known as (
    {% if is_incremental() -%}
    select
        source_file,
        batch_number,
        is_present
    from {{ this }}
    {%- else -%}
    select
        source_file,
        0 as batch_number,
        true as is_present
    from listed
    where false
    {%- endif %}
),

files as (
    select
        coalesce(listed.source_file, known.source_file) as source_file,
        coalesce(known.batch_number, {{ next_batch() }}) as batch_number,
        listed.source_file is not null as is_present,
        known.source_file is null or known.is_present != (listed.source_file is not null) as is_changed
    from listed
    full outer join known on listed.source_file = known.source_file
)

select
    source_file,
    {{ split_part('source_file', "'/'", 1) }} as table_name,
    {{ regexp_first('source_file', '([0-9]{9,}[.][0-9]+)[^/]*$') }} as load_id,
    cast(batch_number as integer) as batch_number,
    is_present
from files
where is_changed
