{#- Reading the files of the lake. What only DuckDB can say is behind adapter.dispatch, so that another engine can bring
    its own. -#}

{#- A base model: the rows of a raw table that this model has not read yet. It has the columns that the source
    declares, or the named ones alone. `raw` stays in the lake, where source_file and file_row_number find it; of
    `issues` it keeps whether there are any. -#}
{% macro base_model(table_name, columns=none) -%}
    {#- Called here so that dbt sees both when it parses, which is when it draws the graph. -#}
    {%- do source('bluesky', table_name) -%}
    {%- do ref('base_lake__files') -%}
    {%- set unread = unread_files(table_name) -%}
    {%- set declared = raw_columns(table_name) | map(attribute='name') | list -%}
    select
        {%- for column in columns or declared | reject('in', ['issues', 'raw', '_dlt_load_id']) %}
        {{ column }},
        {%- endfor %}
        {%- if 'issues' in declared %}
        issues is not null as has_issues,
        {%- endif %}
        _dlt_load_id as load_id,
        source_file,
        file_row_number,
        {{ unread.batch_number }} as batch_number
    from {{ read_lake_files(table_name, unread.files) }} as files
{%- endmacro %}


{% macro lake_path() %}
    {{- return(adapter.dispatch('lake_path', 'bluesky_lake')()) -}}
{% endmacro %}

{% macro duckdb__lake_path() %}
    {#- Set for each cursor by the plugin, from dlt's settings. -#}
    {{- return("getvariable('lake_path')") -}}
{% endmacro %}


{% macro lake_pattern() %}
    {{- return(adapter.dispatch('lake_pattern', 'bluesky_lake')()) -}}
{% endmacro %}

{% macro duckdb__lake_pattern() %}
    {#- `lake_path` as the beginning of a pattern of file names. -#}
    {{- return("getvariable('lake_pattern')") -}}
{% endmacro %}


{#- A text as a literal of SQL. -#}
{% macro text_literal(text) %}
    {{- return("'" ~ text | replace("'", "''") ~ "'") -}}
{% endmacro %}


{#- The files as a list of paths. DuckDB takes each for a pattern, also where it is the name of a file. -#}
{% macro duckdb__paths_of(files) -%}
    [
        {%- for file in files %}
        {%- set pattern = file | replace('[', '[[') | replace('*', '[*]') | replace('?', '[?]') | replace('[[', '[[]') %}
        {{ lake_pattern() }} || {{ text_literal('/' ~ pattern) }}{{ ',' if not loop.last }}
        {%- endfor %}
    ]
{%- endmacro %}


{% macro list_lake_files(pattern) %}
    {{- return(adapter.dispatch('list_lake_files', 'bluesky_lake')(pattern)) -}}
{% endmacro %}

{% macro duckdb__list_lake_files(pattern) %}
    select substr(file, length({{ lake_path() }}) + 2) as source_file
    from glob({{ lake_pattern() }} || '/{{ pattern }}')
{% endmacro %}


{#- Files of a table that this model has not read yet, and the number of the newest batch of files. The names of dlt's
    own files begin with a schema: `schema_name` selects its files. -#}
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


{#- The rows of the given files of a raw table. Its columns are those that the source declares: a column that a file
    lacks is null, and a column that the source lacks is left out. -#}
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
                {{ duckdb__paths_of(files) }},
                union_by_name = true,
                hive_partitioning = false,
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
                {{ duckdb__paths_of(files) }},
                columns = {
                    {%- for column in columns %}
                    '{{ column.name }}': '{{ column.data_type }}'{{ ',' if not loop.last }}
                    {%- endfor %}
                },
                hive_partitioning = false,
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


{#- The tables that the pull writes. Other pipelines load into the same dataset: their loads are counted elsewhere. -#}
{% macro pulled_tables() -%}
    'starter_packs', 'starter_pack_members', 'profiles', 'author_feed', 'feed_pulls'
{%- endmacro %}


{#- The tables that only a run of checks and audits writes: a load that has files of them is no load of the pull. -#}
{% macro checked_tables() -%}
    'record_checks', 'feed_audits', 'member_records', 'reactions', 'audience_pulls'
{%- endmacro %}
