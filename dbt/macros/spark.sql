{#- How Spark and Sail say what the other files leave to the engine. What reads words (names, domains, hashtags, letters)
    is a function of the session, made of the DuckDB macro of the same name (`pipelines/lake/spark_functions.py`): a rule
    stands once. The job gives the session what DuckDB's plugin tells DuckDB: views of the lake's files, and who is left
    out (`pipelines/lake/spark_session.py`). -#}

{% macro spark__list_lake_files() -%}
    select source_file from lake_files
{%- endmacro %}

{% macro spark__list_held_files(files) -%}
    select
        held_in,
        source_file
    from lake_held_files
{%- endmacro %}

{% macro spark__read_lake_files(table_name, files) %}
    (
        select * from lake_{{ table_name }}
        where lake_file in ({{ string_list(files) }})
    )
{% endmacro %}

{% macro spark__read_lake_json(table_name, files) %}
    (
        select * from lake_{{ table_name }}
        where source_file in ({{ string_list(files) }})
    )
{% endmacro %}

{#- A file is read once, since engines number its rows anew at each reading: the base model keeps the wide columns. -#}
{% macro spark__base_columns(table_name, columns) %}
    {%- set kept = kept_columns(table_name) -%}
    {{- return(kept + ['issues'] if columns else kept) -}}
{% endmacro %}

{% macro spark__rows_to_fetch(table_name, base) -%}
    {{ base }}
{%- endmacro %}

{% macro spark__columns_of_rows(table_name, expressions, names) -%}
    {%- set columns = kept_columns(table_name) -%}
    {%- if 'issues' in raw_columns(table_name) | map(attribute='name') -%}
        {%- do columns.append('has_issues') -%}
    {%- endif -%}
    {%- for column in columns + ['load_id', 'source_file', 'file_row_number', 'batch_number'] %}
    {{ expressions.get(column, column) }} as {{ names.get(column, column) }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{% macro spark__descending(values) -%}
    {{ values | join(' desc, ') }} desc
{%- endmacro %}


{#- A text that depends on `among` is known, and asked, where `among` is. -#}
{% macro spark__names_nobody_withheld(texts, among) -%}
    {%- if among %}{{ among }} and {% endif -%}
    not coalesce(
        arrays_overlap(
            concat(
                {%- for text in texts %}
                {{ names_in('case when ' ~ among ~ ' then ' ~ text ~ ' end' if among else text) }}
                {{- ',' if not loop.last }}
                {%- endfor %}
            ),
            (select collect_list(withheld_name) from {{ ref('int_withheld_names') }})
        ),
        false
    )
{%- endmacro %}

{% macro spark__names_in(text) -%} names_in({{ text }}) {%- endmacro %}

{% macro spark__linked_post(url, part) -%} linked_post_{{ part }}({{ url }}) {%- endmacro %}

{% macro spark__handle_in_bytes(text, byte_start, byte_end) -%}
    handle_in_bytes({{ text }}, {{ byte_start }}, {{ byte_end }})
{%- endmacro %}

{% macro spark__domain_of(url) -%} domain_of({{ url }}) {%- endmacro %}

{% macro spark__hashtag_of(tag) -%} hashtag_of({{ tag }}) {%- endmacro %}

{% macro spark__small_letters(text) -%} small_letters({{ text }}) {%- endmacro %}

{% macro spark__trimmed(text) -%} trimmed({{ text }}) {%- endmacro %}

{% macro spark__grapheme_count(text) -%} grapheme_count({{ text }}) {%- endmacro %}

{% macro spark__left_out() -%}
    select
        did,
        name
    from lake_left_out
{%- endmacro %}

{% macro spark__has_hiding_label(labels) -%}
    coalesce(arrays_overlap({{ labels }}, array('!hide', '!takedown', '!suspend')), false)
{%- endmacro %}


{% macro spark__regexp_first(value, pattern) -%}
    nullif(regexp_extract({{ value }}, '{{ pattern }}', 1), '')
{%- endmacro %}

{% macro spark__contains_element(list, element) -%}
    coalesce(array_contains({{ list }}, {{ element }}), false)
{%- endmacro %}

{% macro spark__first_element(list) -%} get({{ list }}, 0) {%- endmacro %}

{% macro spark__element_count(list) -%}
    case when {{ list }} is null then 0 else size({{ list }}) end
{%- endmacro %}

{% macro spark__rkey_of(uri) -%} substring_index({{ uri }}, '/', -1) {%- endmacro %}

{% macro spark__md5_number(value) -%} cast(conv(substring(md5({{ value }}), 1, 12), 16, 10) as bigint) {%- endmacro %}

{% macro spark__schema_columns(relation) -%}
    (
        with tables_of_versions as (
            select
                schema_name,
                version_hash,
                version,
                inserted_at,
                table_name,
                from_json(get_json_object(table_json, '$.columns'), 'map<string,string>') as columns
            from {{ relation }}
            lateral view
            explode(from_json(get_json_object(schema_json, '$.tables'), 'map<string,string>')) tables as table_name, table_json
        )

        select
            schema_name,
            version_hash,
            version,
            inserted_at,
            table_name,
            column_name,
            get_json_object(column_json, '$.data_type') as data_type
        from tables_of_versions
        lateral view explode(columns) columns_of_tables as column_name, column_json
        where left(table_name, 5) != '_dlt_'
    )
{%- endmacro %}

{% macro spark__explode(relation, key_columns, list, position, element) -%}
    (
        select
            {{ key_columns | join(', ') }},
            {{ element }},
            cast({{ position }}_from_0 + 1 as bigint) as {{ position }}
        from {{ relation }}
        lateral view posexplode({{ list }}) exploded_list as {{ position }}_from_0, {{ element }}
    )
{%- endmacro %}

{% macro spark__utc_date(timestamp) -%} cast({{ timestamp }} as date) {%- endmacro %}

{% macro spark__nullable(value) -%} nullif({{ value }}, not {{ value }}) {%- endmacro %}

{% macro spark__oldest_time() -%} cast('0001-01-01 00:00:00' as timestamp) {%- endmacro %}

{% macro spark__utc_hour(timestamp) -%} hour({{ timestamp }}) {%- endmacro %}

{% macro spark__iso_weekday(date) -%} ((dayofweek({{ date }}) + 5) % 7 + 1) {%- endmacro %}

{#- Sail 0.7 fails at `date_trunc` of a day before 1677, which has no nanoseconds. -#}
{% macro spark__month_start(date) -%} make_date(year({{ date }}), month({{ date }}), 1) {%- endmacro %}

{% macro spark__week_start(date) -%} date_sub({{ date }}, (dayofweek({{ date }}) + 5) % 7) {%- endmacro %}

{% macro spark__hours_between(start, end) -%}
    (unix_micros({{ end }}) - unix_micros({{ start }})) / cast(3600000000 as double)
{%- endmacro %}

{% macro spark__before(timestamp, days) -%}
    {{ timestamp }} - make_dt_interval(0, 0, 0, {{ (86400 * days) | int }})
{%- endmacro %}

{% macro spark__time_of_seconds(seconds) -%}
    timestamp_micros(cast(floor(cast({{ seconds }} as decimal(24, 9)) * 1000000) as bigint))
{%- endmacro %}

{% macro spark__date_series(first_date, last_date) -%}
    explode(sequence({{ first_date }}, {{ last_date }}, interval 1 day))
{%- endmacro %}

{% macro spark__value_at_newest(value, timestamp) -%} max_by({{ value }}, {{ timestamp }}) {%- endmacro %}

{% macro spark__time_at_newest(value, timestamp) -%}
    max_by({{ value }}, case when {{ timestamp }} is not null then ({{ timestamp }}, {{ value }}) end)
{%- endmacro %}

{% macro spark__quantile(value, share) -%} percentile({{ value }}, {{ share }}) {%- endmacro %}

{% macro spark__sorted_list(value) -%} array_sort(collect_list({{ value }})) {%- endmacro %}

{% macro spark__list_of_structs(fields, order_by) -%}
    transform(
        array_sort(
            collect_list(
                struct(
                    {{ order_by }} as place,
                    named_struct(
                        {%- for name, expression in fields.items() %}
                        '{{ name }}', {{ expression }}{{ ',' if not loop.last }}
                        {%- endfor %}
                    ) as element
                )
            )
        ),
        placed -> placed.element
    )
{%- endmacro %}


{#- Sail has no recursion: each round of answers is a table, until a round has none. -#}
{% macro spark__answers_below(tops, replies, deepest) -%}
    {%- if execute -%}
        {%- set rounds = [] -%}
        {%- for depth in range(1, deepest + 1) if not rounds or rounds[-1].is_more -%}
            {%- set table = this.schema ~ '.' ~ this.identifier ~ '__round_' ~ depth -%}
            {%- set query -%}
                {%- if depth == 1 %}
                select
                    tops.top_post_uri, replies.post_uri, replies.parent_uri, replies.author_did,
                    1 as answer_depth, replies.place as trail
                from ({{ tops }}) as tops
                inner join ({{ replies }}) as replies on tops.top_post_uri = replies.parent_uri
                {%- else %}
                select
                    trees.top_post_uri, replies.post_uri, replies.parent_uri, replies.author_did,
                    trees.answer_depth + 1 as answer_depth, trees.trail || '/' || replies.place as trail
                from {{ rounds[-1].table }} as trees
                inner join ({{ replies }}) as replies on trees.post_uri = replies.parent_uri
                where replies.post_uri != trees.top_post_uri
                {%- endif %}
            {%- endset -%}
            {%- set folder = tables_folder() ~ '/' ~ this.identifier ~ '__round_' ~ depth -%}
            {%- call statement('drop_round') -%} drop table if exists {{ table }} {%- endcall -%}
            {%- call statement('make_round') -%}
                create table {{ table }} using parquet location {{ text_literal(folder) }} as {{ query }}
            {%- endcall -%}
            {%- set count = run_query('select count(*) as n from ' ~ table).columns[0].values()[0] -%}
            {%- do rounds.append({'table': table, 'is_more': count > 0}) -%}
        {%- endfor -%}
        {%- for round in rounds %}
        select * from {{ round.table }}
        {{ 'union all' if not loop.last }}
        {%- endfor -%}
    {%- else -%}
        select 1
    {%- endif -%}
{%- endmacro %}


{#- Sail reads two quotes in a literal as none. -#}
{% macro spark__text_literal(text) %}
    {{- return("'" ~ text | replace("\\", "\\\\") | replace("'", "\\'") ~ "'") -}}
{% endmacro %}

{#- Where the engine writes its tables, each in a folder of its own, as the session was told. -#}
{% macro tables_folder() %}
    {{- return(run_query('select folder from lake_tables_folder').columns[0].values()[0]) -}}
{% endmacro %}

{% macro spark__location_clause() -%}
    location {{ text_literal(tables_folder() ~ '/' ~ this.identifier) }}
{%- endmacro %}

{#- Tables live as long as the session that builds them, so that each run builds all of them anew. -#}
{% materialization incremental, adapter='spark' -%}
    {{- return(dbt.materialization_table_spark()) -}}
{%- endmaterialization %}
