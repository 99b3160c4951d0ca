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
    delete from {{ arguments.target_relation }}
    where post_uri in (
        select post_uri from {{ ref('int_posts') }}
        where batch_number > {{ last_batch() }}
    );
    {{ get_incremental_append_sql(arguments) }}
{% endmacro %}


{#- What follows is of int_author_days alone: which of its days it counts anew, and how. A row of its inputs that is newer
    than what it has read names its day. What decides from elsewhere whether something counts is compared with the copy
    of it that the last count left. Where a version of another day came, the day before is not known any more, so that
    all days of this member are counted; so are they where something about the member changed. -#}
{% macro find_days_to_count() -%}
    {%- set last = last_batch() -%}
    {%- set query -%}
        create or replace temp table days_to_count as
        with changed as (
            (from {{ ref('int_counted_states') }} except from {{ counted_states() }})
            union
            (from {{ counted_states() }} except from {{ ref('int_counted_states') }})
        ),

        whole as (
            select did
            from (
                select did from changed
                where kind in ('author', 'member')
                union
                select author_did from {{ ref('int_posts') }}
                where redated_in > {{ last }}
                union
                select member_did from {{ ref('int_feed_items') }}
                where redated_in > {{ last }} and is_repost
            )
            semi join {{ ref('int_membership_spans') }} using (did)
            union
            select did from changed
            where kind = 'member'
        ),

        reposts as (
            select
                member_did as did,
                item_at,
                item_uri,
                item_rkey,
                post_uri,
                author_did,
                batch_number
            from {{ ref('int_feed_items') }}
            where is_repost
            union all
            select
                reposter_did as did,
                reposted_at as item_at,
                repost_uri as item_uri,
                {{ rkey_of('repost_uri') }} as item_rkey,
                post_uri,
                post_author_did as author_did,
                0 as batch_number
            from {{ ref('int_unpulled_reposts') }}
        ),

        times as (
            select
                author_did as did,
                posted_at as counted_at
            from {{ ref('int_posts') }}
            where is_in_own_feed and batch_number > {{ last }}
            union all
            select author_did, posted_at from {{ ref('int_posts') }}
            where
                post_uri in (
                    select subject from changed
                    where kind in ('gone', 'in_doubt', 'live_post') and subject like '%/app.bsky.feed.post/%'
                )
            union all
            select author_did, posted_at from {{ ref('int_posts') }}
            where author_did in (select did from whole)
            union all
            select author_did, posted_at from {{ ref('int_live_posts') }}
            union all
            select did, item_at from reposts
            where batch_number > {{ last }}
            union all
            select did, item_at from reposts
            -- By the record key too, in whose order they are stored.
            where
                (item_uri, item_rkey) in (
                    select subject, {{ rkey_of('subject') }} from changed
                    where kind in ('gone', 'in_doubt', 'missed_repost') and subject like '%/app.bsky.feed.repost/%'
                )
            union all
            select did, item_at from reposts
            where
                post_uri in (
                    select subject from changed
                    where kind in ('gone', 'in_doubt') and subject like '%/app.bsky.feed.post/%'
                )
            union all
            select did, item_at from reposts
            where author_did in (select subject from changed where kind = 'author')
            union all
            select did, item_at from reposts
            where did in (select did from whole)
            union all
            select did, observed_at from {{ ref('stg_bluesky__profiles') }}
            where batch_number > {{ last }} or did in (select did from whole)
        )

        select
            did,
            date_day
        from (
            select did, {{ utc_date('counted_at') }} as date_day from times
            union
            select did, date_day from changed
            union
            select author_did, observed_date from {{ ref('fct_post_engagement') }}
            where batch_number > {{ last }}
            union
            select author_did, observed_date from {{ ref('fct_post_engagement') }}
            where author_did in (select did from whole)
            union
            select did, date_day from {{ this }}
            where did in (select did from whole)
        )
        where date_day is not null
    {%- endset -%}
    {%- do run_query(query) -%}
    {{- return(run_query('select coalesce(min(date_day), current_date) from days_to_count').columns[0].values()[0]) -}}
{%- endmacro %}

{#- Condition of a query of what is counted. The time alone is looked at first: most of history is left out by it. -#}
{% macro is_on_day_to_count(did, date_day, oldest_day, timestamp=none) -%}
    {{ timestamp or date_day }} >= cast('{{ oldest_day }}' as {{ 'timestamptz' if timestamp else 'date' }})
        and ({{ did }}, {{ date_day }}) in (select did, date_day from days_to_count)
{%- endmacro %}

{% macro counted_states() %}
    {{- return(this.incorporate(path={'identifier': this.identifier ~ '__states'})) -}}
{% endmacro %}

{% macro keep_counted_states() -%}
    {%- if target.type == 'duckdb' -%}
        create or replace table {{ counted_states() }} as
        from {{ ref('int_counted_states') }}
    {%- endif -%}
{%- endmacro %}

{% macro get_incremental_replace_days_sql(arguments) %}
    delete from {{ arguments.target_relation }}
    where (did, date_day) in (select did, date_day from days_to_count);
    {{ get_incremental_append_sql(arguments) }}
{% endmacro %}
