{#- Reading the files of the lake. What only DuckDB can say is behind adapter.dispatch: another engine brings its own. -#}

{% macro lake_path() %}
    {{- return(adapter.dispatch('lake_path', 'bluesky_lake')()) -}}
{% endmacro %}

{% macro duckdb__lake_path() %}
    {#- Set for each cursor by the plugin, from dlt's settings. -#}
    {{- return("getvariable('lake_path')") -}}
{% endmacro %}


{% macro list_lake_files(pattern) %}
    {{- return(adapter.dispatch('list_lake_files', 'bluesky_lake')(pattern)) -}}
{% endmacro %}

{% macro duckdb__list_lake_files(pattern) %}
    select substr(file, length({{ lake_path() }}) + 2) as source_file
    from glob({{ lake_path() }} || '/{{ pattern }}')
{% endmacro %}


{#- Files of a table that this model has not read yet, and the number of the newest batch of files; of dlt's own tables
    only those of one schema, which their names begin with. -#}
{% macro unread_files(table_name, schema_name=none) %}
    {%- set nothing = {'files': [], 'batch_number': 0} -%}
    {%- if not execute or load_relation(ref('base_lake__files')) is none -%}
        {{- return(nothing) -}}
    {%- endif -%}
    {%- set query -%}
        select source_file, max(batch_number) over () as batch_number
        from {{ ref('base_lake__files') }}
        where
            table_name = '{{ table_name }}'
            and is_present
            {% if schema_name -%}
            and starts_with(source_file, '{{ table_name }}/{{ schema_name }}__')
            {%- endif %}
            {% if is_incremental() -%}
            and batch_number > {{ last_batch() }}
            {%- endif %}
        order by source_file
    {%- endset -%}
    {%- set rows = run_query(query) -%}
    {%- if not rows -%}
        {{- return(nothing) -}}
    {%- endif -%}
    {{- return({'files': rows.columns[0].values(), 'batch_number': rows.columns[1].values()[0]}) -}}
{% endmacro %}


{#- The rows of the given files of a raw table, with the columns that the source declares, whatever the files hold: a
    column that a file does not have is null, one that nobody knows yet is left out. -#}
{% macro read_lake_files(table_name, files) %}
    {{- return(adapter.dispatch('read_lake_files', 'bluesky_lake')(table_name, files)) -}}
{% endmacro %}

{% macro duckdb__read_lake_files(table_name, files) %}
    {%- set columns = raw_columns(table_name) -%}
    (
        select
            {%- for column in columns %}
            {{ column.name }}::{{ column.data_type }} as {{ column.name }},
            {%- endfor %}
            substr(filename, length({{ lake_path() }}) + 2) as source_file,
            file_row_number
        from (
            select
                {%- for column in columns %}
                null::{{ column.data_type }} as {{ column.name }},
                {%- endfor %}
                null::varchar as filename,
                null::bigint as file_row_number
            where false
            {%- if files %}
            union all by name
            select *
            from read_parquet(
                [
                    {%- for file in files %}
                    {{ lake_path() }} || '/{{ file }}'{{ ',' if not loop.last }}
                    {%- endfor %}
                ],
                union_by_name = true,
                filename = true,
                file_row_number = true
            )
            {%- endif %}
        )
    )
{% endmacro %}


{#- The same for the JSON lines that dlt keeps about its loads. -#}
{% macro read_lake_json(table_name, files) %}
    {{- return(adapter.dispatch('read_lake_json', 'bluesky_lake')(table_name, files)) -}}
{% endmacro %}

{% macro duckdb__read_lake_json(table_name, files) %}
    {%- set columns = raw_columns(table_name) -%}
    (
        select
            {%- for column in columns %}
            {{ column.name }},
            {%- endfor %}
            substr(filename, length({{ lake_path() }}) + 2) as source_file
        from
            {%- if files %} read_json(
                [
                    {%- for file in files %}
                    {{ lake_path() }} || '/{{ file }}'{{ ',' if not loop.last }}
                    {%- endfor %}
                ],
                columns = {
                    {%- for column in columns %}
                    '{{ column.name }}': '{{ column.data_type }}'{{ ',' if not loop.last }}
                    {%- endfor %}
                },
                filename = true,
                maximum_object_size = 100000000
            )
            {%- else %} (
                select
                    {%- for column in columns %}
                    null::{{ column.data_type }} as {{ column.name }},
                    {%- endfor %}
                    null::varchar as filename
                where false
            )
            {%- endif %}
    )
{% endmacro %}


{#- Columns of a raw table, as the source declares them. -#}
{% macro raw_columns(table_name) %}
    {%- set found = [] -%}
    {%- if execute -%}
        {%- for node in graph.sources.values() if node.source_name in ('bluesky', 'dlt') and node.name == table_name -%}
            {%- do found.extend(node.columns.values()) -%}
        {%- endfor -%}
    {%- endif -%}
    {{- return(found) -}}
{% endmacro %}


{#- The tables of the nightly pull. What other pipelines load into the same dataset is none of its loads. -#}
{% macro pulled_tables() -%}
    'starter_packs', 'starter_pack_members', 'profiles', 'author_feed', 'feed_pulls'
{%- endmacro %}
