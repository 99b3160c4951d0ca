{#- Which of its days int_author_days counts anew, and how. A row of its inputs that is newer than what it has read names
    its day. What decides from elsewhere whether something counts is compared with the copy of it that the last count
    left. Where a version of another day came, the day before is not known any more, so that all days of this member are
    counted; so are they where something about the member changed. -#}
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

        changed_posts as (
            select {{ uri_sort_key('subject') }} as post_sort_key from changed
            where kind in ('gone', 'in_doubt') and subject like '%/app.bsky.feed.post/%'
        ),

        -- Asked four times, each for few rows: kept once, it would be a copy of all reposts.
        reposts as not materialized (
            select
                member_did as did,
                item_at,
                item_uri,
                item_rkey,
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
                post_sort_key in (
                    select {{ uri_sort_key('subject') }} from changed
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
            -- Nearly all of these are reposts, and to count a day more is quicker than to ask each of them.
            select member_did, item_at from {{ ref('int_feed_items') }}
            where post_sort_key in (select post_sort_key from changed_posts)
            union all
            select reposter_did, reposted_at from {{ ref('int_unpulled_reposts') }}
            where {{ uri_sort_key('post_uri') }} in (select post_sort_key from changed_posts)
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
    {%- set oldest -%}
        select coalesce(min(date_day), cast('9999-12-31' as date)) from days_to_count
    {%- endset -%}
    {{- return(run_query(oldest).columns[0].values()[0]) -}}
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
