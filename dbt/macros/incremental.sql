{#- Which rows an incremental model reads.

    Each dbt run that finds new files in the lake gives them the next batch number (base_lake__files), and each row
    keeps the batch number that brought it. A model reads the batches above the newest that it holds. It therefore also
    reads a load that arrives late, which a comparison of load ids or times would miss. -#}

{#- Number of the newest batch that a relation holds. The macro returns a number, since a subquery would keep DuckDB
    from skipping whole row groups. -#}
{% macro last_batch(relation=this) %}
    {%- set query -%}
        select coalesce(max(batch_number), 0) from {{ relation }}
    {%- endset -%}
    {{- return(run_query(query).columns[0].values()[0]) -}}
{% endmacro %}


{#- Batch number of the rows of a model that newer rows change in place. What is built anew has read all batches, so that
    all its rows are of the newest: who read them before that batch reads them anew, as what they were before is not
    known any more. -#}
{% macro batch_of_rows(newest, input) -%}
    {%- if is_incremental() -%} {{ newest }}
    {%- else -%} (select max(batch_number) from {{ input }})
    {%- endif -%}
{%- endmacro %}


{#- Number for the files that a dbt run finds. No number is given twice: where the list of files is made anew, it goes on
    above all that the warehouse holds. -#}
{% macro next_batch() %}
    {%- set newest = [last_batch() if is_incremental() else 0] -%}
    {%- if execute and newest == [0] -%}
        {%- for node in graph.nodes.values() if node.config.materialized == 'incremental' -%}
            {%- set relation = relation_of(node) -%}
            {%- if relation is not none and has_batches(relation) -%}
                {%- do newest.append(last_batch(relation)) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{- return(newest | max + 1) -}}
{% endmacro %}


{#- dbt asks this of each model that it builds, and so does is_incremental(). Beside `--full-refresh`, a model is built
    anew when every row of its input is new to it: its input was built anew since, of other batches. Whatever is
    refreshed alone, and in whatever order, the models behind it follow when they are built next. -#}
{% macro should_full_refresh() %}
    {#- Elsewhere each run builds all, see macros/spark.sql. -#}
    {{- return(dbt.should_full_refresh() or target.type != 'duckdb' or is_input_all_new()) -}}
{% endmacro %}

{#- `meta.input` names the model whose batches a model reads, or several; `meta.newest_column` the column that a
    warehouse of before has not. A warehouse that another engine filled has no copy of counted states. -#}
{% macro is_input_all_new() %}
    {%- set input = model.config.meta.get('input') -%}
    {%- if not input or load_relation(this) is none -%}
        {{- return(false) -}}
    {%- endif -%}
    {%- set newest_column = model.config.meta.get('newest_column', 'batch_number') -%}
    {%- if not has_column(this, newest_column) -%}
        {{- return(true) -}}
    {%- endif -%}
    {%- if model.config.meta.get('counts_states') and load_relation(counted_states()) is none -%}
        {{- return(true) -}}
    {%- endif -%}
    {%- for name in ([input] if input is string else input) -%}
        {%- if is_all_new(name) -%}
            {{- return(true) -}}
        {%- endif -%}
    {%- endfor -%}
    {{- return(false) -}}
{% endmacro %}

{% macro is_all_new(input) %}
    {%- set input_relation = relation_of(graph.nodes['model.' ~ project_name ~ '.' ~ input]) -%}
    {%- if input_relation is none -%}
        {{- return(false) -}}
    {%- endif -%}
    {%- set query -%}
        select 1
        from {{ input_relation }}
        where batch_number <= (select max(batch_number) from {{ this }})
        limit 1
    {%- endset -%}
    {{- return(not run_query(query).rows) -}}
{% endmacro %}


{#- The relation of a node of the graph; none where it has not been built. -#}
{% macro relation_of(node) %}
    {{- return(load_relation(api.Relation.create(node.database, node.schema, node.alias))) -}}
{% endmacro %}


{% macro has_batches(relation) %}
    {{- return(has_column(relation, 'batch_number')) -}}
{% endmacro %}

{% macro has_column(relation, name) %}
    {#- Asks the table, since the catalog is slow to answer and each model asks several times. -#}
    {%- set query -%}
        select * from {{ relation }} limit 0
    {%- endset -%}
    {{- return(name in run_query(query).column_names) -}}
{% endmacro %}


{#- Condition on int_posts for the marts of members' posts: the post was seen in its author's own feed, and this mart
    has not read its newest version. -#}
{% macro is_own_post_to_read() -%}
    is_in_own_feed and batch_number > {{ last_batch() if is_incremental() else 0 }}
{%- endmacro %}


{#- Incremental strategy of the marts of what a post contains (links, hashtags, ...). It first deletes all rows of
    each post that has a newer version, then inserts the new rows. dbt's `delete+insert` deletes only the keys that
    come again, so it would keep a link that an edit took away. -#}
{% macro get_incremental_replace_by_post_sql(arguments) %}
    {%- set target, is_new = arguments.target_relation, 'batch_number > ' ~ last_batch() -%}
    delete from {{ target }}
    where
        rowid in (
            select rowid from {{ target }}
            where post_sort_key in (select post_sort_key from {{ ref('int_posts') }} where {{ is_new }})
        )
        and post_uri in (select post_uri from {{ ref('int_posts') }} where {{ is_new }});
    {{ get_incremental_append_sql(arguments) }}
{% endmacro %}


{#- Incremental strategy of int_posts: a newer row replaces the post's version; a row that arrives late moves
    first_observed_at and is_in_own_feed alone. A row that somebody else wrote without a time is older than all others,
    as it is where dbt builds all at once. The known posts are found in one look through post_sort_key alone, and the
    rest of them by their places: DuckDB's merge takes all history through each column that it compares. -#}
{% macro get_incremental_newest_version_sql(arguments) %}
    {%- set target, new = arguments.target_relation, arguments.temp_relation -%}
    create or replace temp table known_posts as
    with places as materialized (
        select distinct
            known.rowid as place,
            new.post_sort_key
        from {{ target }} as known
        inner join {{ new }} as new on known.post_sort_key = new.post_sort_key
    )

    select
        places.place,
        new.post_uri,
        new.batch_number,
        least(known.first_observed_at, new.first_observed_at) as first_observed_at,
        coalesce(known.is_in_own_feed or new.is_in_own_feed, known.is_in_own_feed, new.is_in_own_feed)
            as is_in_own_feed,
        case
            when {{ utc_date('new.posted_at') }} is distinct from {{ utc_date('known.posted_at') }}
                then new.batch_number
            else known.redated_in
        end as redated_in,
        (coalesce(new.last_observed_at, {{ oldest_time() }}), new.source_file, new.file_row_number)
        > (coalesce(known.last_observed_at, {{ oldest_time() }}), known.source_file, known.file_row_number)
            as is_replaced
    from places
    inner join {{ target }} as known on places.place = known.rowid
    inner join {{ new }} as new on places.post_sort_key = new.post_sort_key and known.post_uri = new.post_uri;

    delete from {{ target }}
    where rowid in (select place from known_posts where is_replaced);

    insert into {{ target }} by name
    select
        new.* replace (
            coalesce(known.first_observed_at, new.first_observed_at) as first_observed_at,
            coalesce(known.is_in_own_feed, new.is_in_own_feed) as is_in_own_feed,
            known.redated_in as redated_in,
            known.post_uri is null and new.is_seen_once as is_seen_once
        )
    from {{ new }} as new
    left join known_posts as known on new.post_uri = known.post_uri
    where coalesce(known.is_replaced, true);

    update {{ target }} as posts
    set
        first_observed_at = known.first_observed_at,
        is_in_own_feed = known.is_in_own_feed,
        is_seen_once = false,
        batch_number = known.batch_number
    from known_posts as known
    where posts.rowid = known.place and not known.is_replaced;
{% endmacro %}
