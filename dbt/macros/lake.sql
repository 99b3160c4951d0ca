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
        {%- for column in base_columns(table_name, columns) %}
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
    {%- if unread.are_compacted %}
    where
        source_file in (
            select source_file from {{ ref('base_lake__files') }}
            where table_name = '{{ table_name }}'
            {%- if is_incremental() %} and batch_number > {{ last_batch() }}{% endif %}
        )
    {%- endif %}
{%- endmacro %}


{#- The columns of a raw table that a base model keeps as they are. -#}
{% macro kept_columns(table_name) %}
    {{- return(
        raw_columns(table_name) | map(attribute='name') | reject('in', ['issues', 'raw', '_dlt_load_id']) | list
    ) -}}
{% endmacro %}


{#- The columns that a base model has, of those that it would like. -#}
{% macro base_columns(table_name, columns) %}
    {{- return(adapter.dispatch('base_columns', 'bluesky_lake')(table_name, columns)) -}}
{% endmacro %}

{% macro duckdb__base_columns(table_name, columns) %}
    {{- return(columns or kept_columns(table_name)) -}}
{% endmacro %}


{#- Where a model fetches the wide columns of rows that its base model has narrow. -#}
{% macro rows_to_fetch(table_name, base) %}
    {{- return(adapter.dispatch('rows_to_fetch', 'bluesky_lake')(table_name, base)) -}}
{% endmacro %}

{#- Of the files that the base model has read: where dbt ran a part alone, there may be newer ones. -#}
{% macro duckdb__rows_to_fetch(table_name, base) %}
    (
        select * from {{ read_lake_files(table_name, unread_files(table_name).files) }}
        where
            source_file in (
                select distinct source_file from {{ base }}
                where batch_number > {{ last_batch() if is_incremental() else 0 }}
            )
    )
{% endmacro %}


{#- A staging model: the rows of a base model, each key once, which is the first by `order_by`. `expressions` says what
    stands in a column instead, `names` what a column is called from here on. -#}
{% macro rows_once(
    table_name,
    key,
    order_by='load_id desc, source_file desc, file_row_number desc',
    expressions={},
    names={},
    condition=none
) -%}
    select {{ columns_of_rows(table_name, expressions, names) }}
    from (
        select
            *,
            row_number() over (partition by {{ key | join(', ') }} order by {{ order_by }}) as place_among_copies
        from {{ ref('base_bluesky__' ~ table_name) }}
        {%- if condition %}
        where {{ condition }}
        {%- endif %}
    ) as numbered
    where place_among_copies = 1
{%- endmacro %}


{% macro columns_of_rows(table_name, expressions, names) %}
    {{- return(adapter.dispatch('columns_of_rows', 'bluesky_lake')(table_name, expressions, names)) -}}
{% endmacro %}

{#- All columns but the place. Engines without `exclude` name them, as the source declares them. -#}
{% macro duckdb__columns_of_rows(table_name, expressions, names) -%}
    * exclude (place_among_copies)
    {%- if expressions %} replace (
        {%- for column, expression in expressions.items() %}
        {{ expression }} as {{ column }}{{ ',' if not loop.last }}
        {%- endfor %}
    )
    {%- endif %}
    {%- if names %} rename (
        {%- for column, name in names.items() %}{{ column }} as {{ name }}{{ ', ' if not loop.last }}{% endfor -%}
    )
    {%- endif %}
{%- endmacro %}


{% macro lake_path() %}
    {#- Set for each cursor by the plugin, from dlt's settings. -#}
    {{- return("getvariable('lake_path')") -}}
{% endmacro %}


{% macro lake_pattern() %}
    {#- `lake_path` as the beginning of a pattern of file names. -#}
    {{- return("getvariable('lake_pattern')") -}}
{% endmacro %}


{#- A text as a literal of SQL. -#}
{% macro text_literal(text) %}
    {{- return(adapter.dispatch('text_literal', 'bluesky_lake')(text)) -}}
{% endmacro %}

{% macro duckdb__text_literal(text) %}
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


{#- The files of the lake that may be read, as a query of `source_file`. -#}
{% macro list_lake_files() %}
    {{- return(adapter.dispatch('list_lake_files', 'bluesky_lake')()) -}}
{% endmacro %}

{#- Lists once, however often the query is asked: in a bucket, each thousand files are a request. -#}
{% macro duckdb__list_lake_files() %}
    {%- if execute -%}
        {%- do run_query("
            set variable lake_files = (
                select coalesce(list(substr(file, length(" ~ lake_path() ~ ") + 2)), [])
                from glob(" ~ lake_pattern() ~ " || '/**')
            )
        ") -%}
    {%- endif -%}
    select source_file
    from (select unnest(getvariable('lake_files')) as source_file)
    where regexp_matches(source_file, '[.]parquet$|^_dlt_[^/]*/[^/]*[.]jsonl$')
{% endmacro %}


{#- Compacted files that `base_lake__files` does not know. -#}
{% macro new_compacted_files(listed) %}
    {%- if not execute -%}
        {{- return([]) -}}
    {%- endif -%}
    {%- set query -%}
        select source_file
        from ({{ listed }})
        where
            source_file like '%/compact-%.parquet'
            {% if is_incremental() -%}
            and source_file not in (select source_file from {{ this }})
            and source_file not in (select coalesce({{ known_places() }}, '') from {{ this }})
            {%- endif %}
        order by source_file
    {%- endset -%}
    {{- return(run_query(query).columns[0].values()) -}}
{% endmacro %}


{#- The compacted files that base_lake__files knows; a warehouse of before them has none. -#}
{% macro known_places() %}
    {{- return('held_in' if has_column(this, 'held_in') else as_text('null')) -}}
{% endmacro %}


{#- Which files' rows the given compacted files hold, as they say themselves: `held_in` and `source_file`. Those that say
    nothing, and all of before rows kept their place, hold their own. -#}
{% macro list_held_files(files) %}
    {{- return(adapter.dispatch('list_held_files', 'bluesky_lake')(files)) -}}
{% endmacro %}

{% macro duckdb__list_held_files(files) %}
    select
        substr(file_name, length({{ lake_path() }}) + 2) as held_in,
        unnest(from_json(decode(value), '["varchar"]')) as source_file
    from {% if files -%} parquet_kv_metadata({{ duckdb__paths_of(files) }})
    {%- else -%} (select null::varchar as file_name, null::blob as key, null::blob as value)
    {%- endif %}
    where decode(key) = 'holds'
{% endmacro %}


{#- Files of a table that this model has not read yet, the number of the newest batch of files, and whether some are
    compacted: these may hold rows of others that it has read. The names of dlt's own files begin with a schema:
    `schema_name` selects its files. -#}
{% macro unread_files(table_name, schema_name=none) %}
    {%- set nothing = {'files': [], 'batch_number': 0, 'are_compacted': false} -%}
    {%- if not execute or load_relation(ref('base_lake__files')) is none -%}
        {{- return(nothing) -}}
    {%- endif -%}
    {%- set query -%}
        select
            coalesce(held_in, source_file) as file,
            max(max(batch_number)) over () as batch_number,
            bool_or(held_in is not null) as is_compacted
        from {{ ref('base_lake__files') }}
        where
            table_name = '{{ table_name }}'
            and is_present
            {% if schema_name -%}
            {%- set beginning = table_name ~ '/' ~ schema_name ~ '__' %}
            and left(source_file, {{ beginning | length }}) = '{{ beginning }}'
            {%- endif %}
            {% if is_incremental() -%}
            and batch_number > {{ last_batch() }}
            {%- endif %}
        group by file
        order by file
    {%- endset -%}
    {%- set rows = run_query(query) -%}
    {%- if not rows -%}
        {{- return(nothing) -}}
    {%- endif -%}
    {{- return(
        {
            'files': rows.columns[0].values(),
            'batch_number': rows.columns[1].values()[0],
            'are_compacted': true in rows.columns[2].values()
        }
    ) -}}
{% endmacro %}


{#- The rows of the given files of a raw table. Its columns are those that the source declares: a column that a file
    lacks is null, and a column that the source lacks is left out. A row's place is where dlt wrote it: compacted files
    keep it in columns of their own. -#}
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
            coalesce(_source_file, substr(filename, length({{ lake_path() }}) + 2)) as source_file,
            coalesce(_source_row, file_row_number) as file_row_number
        from (
            select
                {%- for column in columns %}
                null::{{ column.data_type }} as {{ column.name }},
                {%- endfor %}
                null::varchar as _source_file,
                null::bigint as _source_row,
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
