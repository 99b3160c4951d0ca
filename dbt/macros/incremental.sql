{#- Which rows an incremental model reads.

    Each dbt run that finds new files in the lake gives them the next batch number (base_lake__files), and each row
    keeps the batch number of its file. A model reads the batches above the newest that it holds. It therefore also
    reads a load that arrives late, which a comparison of load ids or times would miss. -#}

{#- Number of the newest batch that a base or intermediate model has read. The macro returns a number, since a subquery
    would keep DuckDB from skipping whole row groups. -#}
{% macro last_batch() %}
    {%- set query -%}
        select coalesce(max(batch_number), 0) from {{ this }}
    {%- endset -%}
    {{- return(run_query(query).columns[0].values()[0]) -}}
{% endmacro %}


{#- The same for a mart, whose rows name their file in place of the batch. -#}
{% macro last_batch_of_files() %}
    {%- set query -%}
        select coalesce(max(batch_number), 0)
        from {{ ref('base_lake__files') }}
        where source_file in (select distinct source_file from {{ this }})
    {%- endset -%}
    {{- return(run_query(query).columns[0].values()[0]) -}}
{% endmacro %}


{#- Condition on int_posts for the marts of members' posts: the post was seen in its author's own feed, and this mart
    has not read its newest version. Whoever calls it depends on base_lake__files, which the macro tells dbt. -#}
{% macro is_own_post_to_read() -%}
    {%- do ref('base_lake__files') -%}
    is_in_own_feed and batch_number > {{ last_batch_of_files() if is_incremental() else 0 }}
{%- endmacro %}


{#- Incremental strategy of the marts of what a post contains (links, hashtags, ...). It first deletes all rows of
    each post that has a newer version, then inserts the new rows. dbt's `delete+insert` deletes only the keys that
    come again, so it would keep a link that an edit took away. -#}
{% macro get_incremental_replace_by_post_sql(arguments) %}
    delete from {{ arguments.target_relation }}
    where post_uri in (
        select post_uri from {{ ref('int_posts') }}
        where batch_number > {{ last_batch_of_files() }}
    );
    {{ get_incremental_append_sql(arguments) }}
{% endmacro %}
