{#- No ref() or source(): this model is how the others know which files there are. -#}
with files as (
    {{ list_lake_files('**/*.parquet') }}
    union all
    {{ list_lake_files('_dlt_*/*.jsonl') }}
),

new_files as (
    select
        source_file,
        {{ split_part('source_file', "'/'", 1) }} as table_name,
        {{ regexp_first('source_file', '([0-9]{9,}[.][0-9]+)[^/]*$') }} as load_id
    from files
    {% if is_incremental() -%}
    where source_file not in (select known.source_file from {{ this }} as known)
    {%- endif %}
)

select
    source_file,
    table_name,
    load_id,
    1 + {% if is_incremental() %}{{ last_batch() }}{% else %}0{% endif %} as batch_number
from new_files
