{#- Which rows a run must look at again.

    Every dbt run that finds new files in the lake gives them the next batch number (base_lake__files), and a row keeps
    the number of the batch that brought it. So a late load, however old what it holds, is new to whoever has not read
    its batch, which neither its load id nor its times could tell. -#}

{#- Number of the newest batch that a base or intermediate model has read. A number, not a subquery: so DuckDB leaves
    aside whole row groups of what was read before. -#}
{% macro last_batch() %}
    {%- set query -%}
        select coalesce(max(batch_number), 0) from {{ this }}
    {%- endset -%}
    {{- return(run_query(query).columns[0].values()[0]) -}}
{% endmacro %}


{#- The same for a mart, whose rows name their file instead. -#}
{% macro last_batch_of_files() %}
    {%- set query -%}
        select coalesce(max(batch_number), 0)
        from {{ ref('base_lake__files') }}
        where source_file in (select distinct source_file from {{ this }})
    {%- endset -%}
    {{- return(run_query(query).columns[0].values()[0]) -}}
{% endmacro %}


{#- Incremental strategy of marts that hold what is taken out of a post: what a post had goes as soon as there is a newer
    look at it, also where nothing comes in its place. An edit can take a post's last link away, and `delete+insert` only
    deletes the keys that come again. -#}
{% macro get_incremental_replace_by_post_sql(arguments) %}
    delete from {{ arguments.target_relation }}
    where post_uri in (
        select post_uri from {{ ref('int_posts') }}
        where batch_number > {{ last_batch_of_files() }}
    );
    {{ get_incremental_append_sql(arguments) }}
{% endmacro %}
