{#- Whether none of the texts names somebody who is withheld, by handle or DID, in whatever case, and with `%40` for `@`
    as in addresses. Each word of other people that a report shows goes through it. -#}
{% macro names_nobody_withheld(texts) -%}
    not exists (
        select 1
        from (
            {%- for text in texts %}
            select unnest({{ names_in(text) }}) as name
            {{ 'union all' if not loop.last }}
            {%- endfor %}
        ) as named
        inner join {{ ref('int_withheld_names') }} as withheld on named.name = withheld.withheld_name
    )
{%- endmacro %}


{% macro names_in(text) %}
    {{- return(adapter.dispatch('names_in', 'bluesky_lake')(text)) -}}
{% endmacro %}

{#- All that may be a handle or a DID in a text, in small letters, whole: `x.com` is not in `netflix.com`, nor in
    `x.com.br`. It stands between characters that a name has not, or more than one dot; `www.` and a dot, hyphen or
    colon at its end are no part of it. What readers take for a name's end is one, too: two hyphens, which are a dash,
    and a dot where the next sentence begins without a space (`x.com.And`). An address may be written with percent
    signs, twice if it stands in another; those of letters that are in no name are left out, as they may be of any
    encoding. Where a handle stands, behind `@` and where addresses have a person, it is there a second time, as
    `@x.com`. -#}
{% macro duckdb__names_in(text) -%}
    {%- set invisible = '[\\x{00AD}\\x{034F}\\x{180B}-\\x{180F}\\x{200B}-\\x{200F}\\x{202A}-\\x{202E}\\x{2060}-\\x{206F}'
        ~ '\\x{FE00}-\\x{FE0F}\\x{FEFF}\\x{E0000}-\\x{E007F}]' -%}
    {%- set written = "regexp_replace(translate(" ~ text ~ ", '。．｡․', '....'), '" ~ invisible ~ "', '', 'g')" -%}
    {%- set plain = "lower(" ~ written ~ ")" -%}
    {%- set once = "lower(url_decode(regexp_replace(" ~ plain ~ ", '%[89a-f][0-9a-f]', ' ', 'g')))" -%}
    {%- set twice = "lower(url_decode(regexp_replace(" ~ once ~ ", '%[89a-f][0-9a-f]', ' ', 'g')))" -%}
    {%- set decoded = "concat_ws(' ', " ~ plain ~ ", " ~ once ~ ", " ~ twice ~ ")" -%}
    {%- set at_dashes = "regexp_replace(" ~ plain ~ ", '(xn--[a-z0-9-]*)|--+', '\\1 ', 'g')" -%}
    {%- set next_sentence = "([.][a-z0-9][A-Za-z0-9-]*)[.][A-Z][A-Za-z0-9.-]*" -%}
    {%- set at_sentences = "lower(regexp_replace(" ~ written ~ ", '" ~ next_sentence ~ "', '\\1 ', 'g'))" -%}
    {%- set all -%}
        concat_ws(
            ' ',
            case when contains({{ plain }}, '%') then {{ decoded }} else {{ plain }} end,
            case when contains({{ plain }}, '--') then {{ at_dashes }} end,
            case when regexp_matches({{ written }}, '{{ next_sentence }}') then {{ at_sentences }} end
        )
    {%- endset -%}
    {%- set label = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?" -%}
    {%- set name = label ~ "(?:[.]" ~ label ~ ")+" -%}
    {%- set called = "regexp_replace(" ~ all ~ ", 'at://|/(?:profile|start|starter-pack)/', '@', 'g')" -%}
    {%- set names = [
        "regexp_extract_all(" ~ all ~ ", '(?:www[.])?(" ~ name ~ ")', 1)",
        "regexp_extract_all(" ~ called ~ ", '@" ~ name ~ "')",
        "regexp_extract_all(" ~ all ~ ", 'did:[a-z]+:[a-z0-9._:%-]+')",
        "regexp_extract_all(" ~ all ~ ", '(did:[a-z]+:(?:[a-z0-9._:%-]*[a-z0-9])?)[._:%-]*', 1)",
    ] -%}
    list_distinct(list_concat({{ names | join(', ') }}))
{%- endmacro %}


{% macro handle_in_bytes(text, byte_start, byte_end) %}
    {{- return(adapter.dispatch('handle_in_bytes', 'bluesky_lake')(text, byte_start, byte_end)) -}}
{% endmacro %}

{#- The handle that stands, with `@` before it, in these bytes of a text; null where something else does. -#}
{% macro duckdb__handle_in_bytes(text, byte_start, byte_end) -%}
    {%- set bytes = "encode(" ~ text ~ ")[" ~ byte_start ~ " + 1:" ~ byte_end ~ "]" -%}
    nullif(regexp_extract(lower(try(decode({{ bytes }}))), '^@((?:[a-z0-9-]+[.])+[a-z][a-z0-9-]*)$', 1), '')
{%- endmacro %}


{% macro left_out() %}
    {{- return(adapter.dispatch('left_out', 'bluesky_lake')()) -}}
{% endmacro %}

{#- Who is left out by the settings: a row for each name that is known of them. `did` is null where a name is not
    resolved. The plugin sets it for each cursor; without the plugin, nobody knows who is left out. -#}
{% macro duckdb__left_out() -%}
    select unnest(coalesce(getvariable('left_out'), [{did: null::varchar, name: 'unknown'}]), recursive := true)
{%- endmacro %}


{% macro has_hiding_label(labels) %}
    {{- return(adapter.dispatch('has_hiding_label', 'bluesky_lake')(labels)) -}}
{% endmacro %}

{#- Whether moderation hides the account from everybody. Only the network's own moderation is asked: the pull names no
    labeler, so that the service's own apply. -#}
{% macro duckdb__has_hiding_label(labels) -%}
    coalesce(list_has_any({{ labels }}, ['!hide', '!takedown', '!suspend']), false)
{%- endmacro %}
