{#- SQL that engines write differently. -#}

{% macro regexp_first(value, pattern) %}
    {{- return(adapter.dispatch('regexp_first', 'bluesky_lake')(value, pattern)) -}}
{% endmacro %}

{#- The first group of the first match; null when nothing matches. -#}
{% macro duckdb__regexp_first(value, pattern) -%}
    nullif(regexp_extract({{ value }}, '{{ pattern }}', 1), '')
{%- endmacro %}


{% macro contains_element(list, element) %}
    {{- return(adapter.dispatch('contains_element', 'bluesky_lake')(list, element)) -}}
{% endmacro %}

{#- False for a list that is null. -#}
{% macro duckdb__contains_element(list, element) -%}
    coalesce(list_contains({{ list }}, {{ element }}), false)
{%- endmacro %}


{% macro first_element(list) %}
    {{- return(adapter.dispatch('first_element', 'bluesky_lake')(list)) -}}
{% endmacro %}

{#- Null for a list that is null or empty. -#}
{% macro duckdb__first_element(list) -%}
    {{ list }}[1]
{%- endmacro %}


{#- A value as people read it. -#}
{% macro as_text(value) -%}
    cast({{ value }} as {{ dbt.type_string() }})
{%- endmacro %}


{% macro schema_columns(relation) %}
    {{- return(adapter.dispatch('schema_columns', 'bluesky_lake')(relation)) -}}
{% endmacro %}

{#- One row for each column of our tables in each version of dlt's schema, which is JSON. -#}
{% macro duckdb__schema_columns(relation) -%}
    (
        with tables_of_versions as (
            select
                schema_name,
                version_hash,
                version,
                inserted_at,
                json_extract(schema_json, '$.tables') as tables,
                unnest(json_keys(schema_json, '$.tables')) as table_name
            from {{ relation }}
        ),

        columns_of_tables as (
            select
                *,
                json_extract(tables, '$."' || table_name || '".columns') as columns,
                unnest(json_keys(tables, '$."' || table_name || '".columns')) as column_name
            from tables_of_versions
            where not starts_with(table_name, '_dlt_')
        )

        select
            schema_name,
            version_hash,
            version,
            inserted_at,
            table_name,
            column_name,
            json_extract_string(columns, '$."' || column_name || '".data_type') as data_type
        from columns_of_tables
    )
{%- endmacro %}


{% macro domain_of(url) %}
    {{- return(adapter.dispatch('domain_of', 'bluesky_lake')(url)) -}}
{% endmacro %}

{#- Domain of a web address, in small letters, without `www.`, user name, port and final dot; null for what is no web
    address, and for one that names no domain, such as an IP address. Without a scheme, something is taken for an
    address if it begins with a name and a top-level domain. -#}
{% macro duckdb__domain_of(url) -%}
    {%- set address = "translate(lower(" ~ url ~ "), '。．｡', '...')" -%}
    {%- set after = '[.]*(?::[0-9]*)?(?:[/?#\\\\]|\\s*$)' -%}
    nullif(
        regexp_replace(
            coalesce(
                nullif(
                    regexp_extract(
                        {{ address }},
                        '^\s*(?:https?:)?//(?:[^/?#]*@)?(?:www[.])?([^/?#:@%\[\]\\\s]+?){{ after }}',
                        1
                    ),
                    ''
                ),
                regexp_extract(
                    {{ address }},
                    '^\s*(?:www[.])?((?:[\pL\pN_-]+[.])+\pL[\pL\pN-]*[\pL\pN]){{ after }}',
                    1
                )
            ),
            '^[0-9.]+$',
            ''
        ),
        ''
    )
{%- endmacro %}


{% macro hashtag_of(tag) %}
    {{- return(adapter.dispatch('hashtag_of', 'bluesky_lake')(tag)) -}}
{% endmacro %}

{#- A tag as people read it: without `#` and spaces around it, and without the invisible characters that Bluesky takes
    for a tag's end. -#}
{% macro duckdb__hashtag_of(tag) -%}
    regexp_replace(
        regexp_replace(
            {{ tag }},
            '[\x{00AD}\x{180E}\x{200B}-\x{200F}\x{202A}-\x{202E}\x{2060}-\x{2064}\x{20E2}\x{FEFF}]',
            '',
            'g'
        ),
        '^[#＃\s\pZ]+|[\s\pZ]+$',
        '',
        'g'
    )
{%- endmacro %}


{% macro small_letters(text) %}
    {{- return(adapter.dispatch('small_letters', 'bluesky_lake')(text)) -}}
{% endmacro %}

{#- Letter by letter: other engines make two letters of `İ`, and another one of a `Σ` at a word's end. What can have no
    other letters than `a` to `z` needs no macro. -#}
{% macro duckdb__small_letters(text) -%}
    lower({{ text }})
{%- endmacro %}


{% macro trimmed(text) %}
    {{- return(adapter.dispatch('trimmed', 'bluesky_lake')(text)) -}}
{% endmacro %}

{#- Without the spaces around it, of which Unicode has more than one: other engines know `U+0020` alone. -#}
{% macro duckdb__trimmed(text) -%}
    trim({{ text }})
{%- endmacro %}


{#- DID in an at:// URI. -#}
{% macro did_of(uri) -%}
    {{ regexp_first(uri, '^at://(did:[^/]+)') }}
{%- endmacro %}


{% macro rkey_of(uri) %}
    {{- return(adapter.dispatch('rkey_of', 'bluesky_lake')(uri)) -}}
{% endmacro %}

{#- Record key in an at:// URI. Nearly always a TID, which sorts by the time at which the record was made
    (https://atproto.com/specs/tid). -#}
{% macro duckdb__rkey_of(uri) -%}
    split_part({{ uri }}, '/', -1)
{%- endmacro %}


{#- Number that stands for a URI: DuckDB finds a few rows among millions by it in a tenth of the time that it takes by the
    text. It sorts by time, as 15 bits of the record key's time stand above 48 bits of a hash: DuckDB skips the row groups
    that are older than all that is asked for. Somebody can make two URIs that share one: where a row too many
    would be wrong, the URI is compared besides. -#}
{% macro uri_sort_key(uri) -%}
    ({{ tid_half_days(rkey_of(uri)) }} * {{ 2 ** 48 }} + {{ md5_number(uri) }})
{%- endmacro %}

{#- Of a TID the second to the fourth character, which count steps of nine and a half hours within 35 years
    (https://atproto.com/specs/tid). A record key of another form gives a number that says nothing. -#}
{% macro tid_half_days(rkey) -%}
    (
        {%- for place in [2, 3, 4] %}
        {{ '+ ' if not loop.first }}{{ 32 ** (4 - place) }}
        * greatest(instr('234567abcdefghijklmnopqrstuvwxyz', substr({{ rkey }}, {{ place }}, 1)) - 1, 0)
        {%- endfor %}
    )
{%- endmacro %}


{% macro md5_number(value) %}
    {{- return(adapter.dispatch('md5_number', 'bluesky_lake')(value)) -}}
{% endmacro %}

{#- 48 bits of MD5, of which each engine in each version makes the same. -#}
{% macro duckdb__md5_number(value) -%}
    cast('0x' || left(md5({{ value }}), 12) as bigint)
{%- endmacro %}


{% macro grapheme_count(text) %}
    {{- return(adapter.dispatch('grapheme_count', 'bluesky_lake')(text)) -}}
{% endmacro %}

{#- Characters as people count them, which is what Bluesky's limit of 300 is about. -#}
{% macro duckdb__grapheme_count(text) -%}
    length_grapheme({{ text }})
{%- endmacro %}


{% macro element_count(list) %}
    {{- return(adapter.dispatch('element_count', 'bluesky_lake')(list)) -}}
{% endmacro %}

{#- 0 for a list that is null. -#}
{% macro duckdb__element_count(list) -%}
    coalesce(len({{ list }}), 0)
{%- endmacro %}


{% macro explode(relation, key_columns, list, position='position', element='element') %}
    {{- return(adapter.dispatch('explode', 'bluesky_lake')(relation, key_columns, list, position, element)) -}}
{% endmacro %}

{#- One row for each element of a list column, with its place in the list from 1 on. -#}
{% macro duckdb__explode(relation, key_columns, list, position, element) -%}
    (
        select
            {{ key_columns | join(', ') }},
            unnest({{ list }}) as {{ element }},
            generate_subscripts({{ list }}, 1) as {{ position }}
        from {{ relation }}
        where len({{ list }}) > 0
    )
{%- endmacro %}


{#- A count that somebody else served; null where it cannot be one. Above 2^53 JSON's numbers are not exact, and sums of
    such counts would not fit their columns. -#}
{% macro credible_count(column) -%}
    case when {{ column }} between 0 and 9007199254740992 then {{ column }} end
{%- endmacro %}


{#- The counts of a post that are credible, by name, in a select's list. -#}
{% macro credible_post_counts(prefix='') -%}
    {%- for column in ['like_count', 'repost_count', 'reply_count', 'quote_count', 'bookmark_count'] %}
    {{ credible_count(prefix ~ column) }} as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}


{#- Likes, reposts, replies and quotes together; null where the service told none of them. Bookmarks are private. -#}
{% macro engagement(prefix='') -%}
    case
        when
            coalesce({{ prefix }}like_count, {{ prefix }}repost_count, {{ prefix }}reply_count, {{ prefix }}quote_count)
            is not null
            then
                coalesce({{ prefix }}like_count, 0)
                + coalesce({{ prefix }}repost_count, 0)
                + coalesce({{ prefix }}reply_count, 0)
                + coalesce({{ prefix }}quote_count, 0)
    end
{%- endmacro %}


{#- The calendar day of a time, in UTC whatever the session says. DuckDB's own functions for times with a zone ask ICU's
    calendar for each row, at fifteen times the cost of plain arithmetic; the three macros from here on do without. -#}
{% macro utc_date(timestamp) %}
    {{- return(adapter.dispatch('utc_date', 'bluesky_lake')(timestamp)) -}}
{% endmacro %}

{% macro duckdb__utc_date(timestamp) -%}
    cast(make_timestamp(epoch_us({{ timestamp }})) as date)
{%- endmacro %}


{% macro nullable(value) %}
    {{- return(adapter.dispatch('nullable', 'bluesky_lake')(value)) -}}
{% endmacro %}

{#- A value that the engine takes for one that may be null. Sail 0.7 refuses some unions of a column that is never null
    with one that may be. -#}
{% macro duckdb__nullable(value) -%}
    {{ value }}
{%- endmacro %}


{% macro oldest_time() %}
    {{- return(adapter.dispatch('oldest_time', 'bluesky_lake')()) -}}
{% endmacro %}

{#- Before all that anybody wrote. -#}
{% macro duckdb__oldest_time() -%}
    cast('0001-01-01' as timestamptz)
{%- endmacro %}


{% macro utc_hour(timestamp) %}
    {{- return(adapter.dispatch('utc_hour', 'bluesky_lake')(timestamp)) -}}
{% endmacro %}

{% macro duckdb__utc_hour(timestamp) -%}
    cast(extract(hour from make_timestamp(epoch_us({{ timestamp }}))) as integer)
{%- endmacro %}


{% macro iso_weekday(date) %}
    {{- return(adapter.dispatch('iso_weekday', 'bluesky_lake')(date)) -}}
{% endmacro %}

{#- 1 is Monday. -#}
{% macro duckdb__iso_weekday(date) -%}
    cast(isodow({{ date }}) as integer)
{%- endmacro %}


{% macro month_start(date) %}
    {{- return(adapter.dispatch('month_start', 'bluesky_lake')(date)) -}}
{% endmacro %}

{#- The first day of a day's month. -#}
{% macro duckdb__month_start(date) -%}
    cast(date_trunc('month', {{ date }}) as date)
{%- endmacro %}


{% macro week_start(date) %}
    {{- return(adapter.dispatch('week_start', 'bluesky_lake')(date)) -}}
{% endmacro %}

{#- The Monday of a day's week. -#}
{% macro duckdb__week_start(date) -%}
    cast(date_trunc('week', {{ date }}) as date)
{%- endmacro %}


{% macro hours_between(start, end) %}
    {{- return(adapter.dispatch('hours_between', 'bluesky_lake')(start, end)) -}}
{% endmacro %}

{% macro duckdb__hours_between(start, end) -%}
    (epoch_us({{ end }}) - epoch_us({{ start }})) / 3600000000.0
{%- endmacro %}


{#- So many days of 24 hours before a time. -#}
{% macro before(timestamp, days) %}
    {{- return(adapter.dispatch('before', 'bluesky_lake')(timestamp, days)) -}}
{% endmacro %}

{% macro duckdb__before(timestamp, days) -%}
    {{ timestamp }} - to_seconds({{ (86400 * days) | int }})
{%- endmacro %}


{% macro time_of_seconds(seconds) %}
    {{- return(adapter.dispatch('time_of_seconds', 'bluesky_lake')(seconds)) -}}
{% endmacro %}

{#- The time so many seconds after 1970 began, which a text says. As doubles, engines would round half a microsecond
    each in its own way. -#}
{% macro duckdb__time_of_seconds(seconds) -%}
    make_timestamptz(cast(floor(cast({{ seconds }} as decimal(24, 9)) * 1000000) as bigint))
{%- endmacro %}


{% macro date_series(first_date, last_date) %}
    {{- return(adapter.dispatch('date_series', 'bluesky_lake')(first_date, last_date)) -}}
{% endmacro %}

{% macro duckdb__date_series(first_date, last_date) -%}
    cast(unnest(generate_series({{ first_date }}, {{ last_date }}, interval 1 day)) as date)
{%- endmacro %}


{#- Strings for an `in (...)`, which may not be empty. -#}
{% macro string_list(values) -%}
    {%- for value in values %}{{ text_literal(value) }}, {% endfor -%} null
{%- endmacro %}


{% macro value_at_newest(value, timestamp) %}
    {{- return(adapter.dispatch('value_at_newest', 'bluesky_lake')(value, timestamp)) -}}
{% endmacro %}

{#- An aggregate: the value at the newest time, null if it is null there; `arg_max` skips such rows. -#}
{% macro duckdb__value_at_newest(value, timestamp) -%}
    arg_max_null({{ value }}, {{ timestamp }})
{%- endmacro %}


{% macro time_at_newest(value, timestamp) %}
    {{- return(adapter.dispatch('time_at_newest', 'bluesky_lake')(value, timestamp)) -}}
{% endmacro %}

{#- An aggregate: the time at the newest other time, null if it is null there, and of several the latest. Both times make
    one number, since DuckDB keeps other keys outside its limit of memory. -#}
{% macro duckdb__time_at_newest(value, timestamp) -%}
    arg_max_null(
        {{ value }},
        cast(epoch_us({{ timestamp }}) as hugeint) * 10000000000000000000
        + epoch_us(coalesce({{ value }}, {{ oldest_time() }}))
    )
{%- endmacro %}


{% macro descending(values) %}
    {{- return(adapter.dispatch('descending', 'bluesky_lake')(values)) -}}
{% endmacro %}

{#- One value in `order by`: of a `row_number()` up to a bound DuckDB then keeps the few that are asked for, where it would
    put all rows in order for several. Of the values none may be null. -#}
{% macro duckdb__descending(values) -%}
    ({{ values | join(', ') }}) desc
{%- endmacro %}

{#- The order of posts by engagement, then by likes, the newest of equals first. -#}
{% macro most_engaging_first(posts) -%}
    {{ descending([
        'coalesce(' ~ posts ~ '.engagement_count, -1)',
        'coalesce(' ~ posts ~ '.like_count, -1)',
        posts ~ '.posted_at',
        posts ~ '.post_uri',
    ]) }}
{%- endmacro %}


{#- An aggregate: the newest value that is not null. Engines differ in whether `max_by` passes over nulls. -#}
{% macro newest_known(value, timestamp) -%}
    max_by({{ value }}, case when {{ value }} is not null then {{ timestamp }} end)
{%- endmacro %}


{#- An aggregate: the oldest value that is not null. -#}
{% macro oldest_known(value, timestamp) -%}
    min_by({{ value }}, case when {{ value }} is not null then {{ timestamp }} end)
{%- endmacro %}


{% macro quantile(value, share) %}
    {{- return(adapter.dispatch('quantile', 'bluesky_lake')(value, share)) -}}
{% endmacro %}

{#- An aggregate: the value below which a share of all values lies, interpolated between two. -#}
{% macro duckdb__quantile(value, share) -%}
    quantile_cont({{ value }}, {{ share }})
{%- endmacro %}


{% macro sorted_list(value) %}
    {{- return(adapter.dispatch('sorted_list', 'bluesky_lake')(value)) -}}
{% endmacro %}

{#- An aggregate: the values as a list, in order. -#}
{% macro duckdb__sorted_list(value) -%}
    list({{ value }} order by {{ value }})
{%- endmacro %}


{% macro list_of_structs(fields, order_by) %}
    {{- return(adapter.dispatch('list_of_structs', 'bluesky_lake')(fields, order_by)) -}}
{% endmacro %}

{#- An aggregate: a list of structs, in order. `fields` is the expression of each field by its name. -#}
{% macro duckdb__list_of_structs(fields, order_by) -%}
    list(
        struct_pack(
            {%- for name, expression in fields.items() %}
            {{ name }} := {{ expression }}{{ ',' if not loop.last }}
            {%- endfor %}
        )
        order by {{ order_by }}
    )
{%- endmacro %}


{% macro answers_below(tops, replies, deepest) %}
    {{- return(adapter.dispatch('answers_below', 'bluesky_lake')(tops, replies, deepest)) -}}
{% endmacro %}

{#- A query of the answers to some posts, of the answers to these, and so on. `tops` is a query of `top_post_uri`,
    `replies` one of `post_uri`, `parent_uri`, `author_did`, and `place`, by which answers to one post are in order. -#}
{% macro duckdb__answers_below(tops, replies, deepest) -%}
    with recursive tops as (
        {{ tops }}
    ),

    replies as (
        {{ replies }}
    ),

    trees as (
        select
            tops.top_post_uri,
            replies.post_uri,
            replies.parent_uri,
            replies.author_did,
            1 as answer_depth,
            replies.place as trail
        from tops
        inner join replies on tops.top_post_uri = replies.parent_uri
        union all
        select
            trees.top_post_uri,
            replies.post_uri,
            replies.parent_uri,
            replies.author_did,
            trees.answer_depth + 1 as answer_depth,
            trees.trail || '/' || replies.place as trail
        from trees
        inner join replies on trees.post_uri = replies.parent_uri
        where replies.post_uri != trees.top_post_uri and trees.answer_depth < {{ deepest }}
    )

    select * from trees
{%- endmacro %}
