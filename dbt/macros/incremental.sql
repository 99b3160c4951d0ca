{#- Which rows a run must look at again.

    Every dbt run that finds new files in the lake gives them the next batch number (base_lake__files), and a row keeps
    the number of the batch that brought it. So a late load, however old what it holds, is new to whoever has not read
    its batch, which neither its load id nor its times could tell. -#}

{#- Number of the newest batch that a base or intermediate model has read. -#}
{% macro last_batch() %}
    (select coalesce(max(last_read.batch_number), 0) from {{ this }} as last_read)
{% endmacro %}


{#- The same for a mart, whose rows name their file instead. -#}
{% macro last_batch_of_files() %}
    (
        select coalesce(max(files.batch_number), 0)
        from (select distinct source_file from {{ this }}) as last_read
        inner join {{ ref('base_lake__files') }} as files on last_read.source_file = files.source_file
    )
{% endmacro %}
