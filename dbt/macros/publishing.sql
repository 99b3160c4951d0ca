{#- Whether none of the texts names somebody who is withheld, by handle or DID, in whatever case, and with `%40` for `@`
    as in addresses. Each word of other people that a report shows goes through it.

    Where `among` is given, the rows have to meet it too, and no other rows are asked. It is about what a row got by being
    chosen, such as its rank: engines take a condition of one table to where that table is read, which is all of history,
    and this one is dear. -#}
{% macro names_nobody_withheld(texts, among=none) %}
    {{- return(adapter.dispatch('names_nobody_withheld', 'bluesky_lake')(texts, among)) -}}
{% endmacro %}

{% macro duckdb__names_nobody_withheld(texts, among) -%}
    {%- if among %}{{ among }} and {% endif -%}
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
    `x.com.br`. It stands between characters that a name has not, or more than one dot; a dot, hyphen or colon at its end
    is no part of it. What readers take for a name's end is one, too: two hyphens, which are a dash, and a dot where the
    next sentence begins without a space (`x.com.And`); so is, for its beginning, the dot behind a word with a capital
    letter (`Hello.x.com`). A text is read as it stands, without what nobody sees, and with percent signs decoded,
    however often they were encoded; full-width and other unusual letters are usual ones. Where a handle stands, behind
    `@` and where addresses have a person, it is there a second time, as `@x.com`; elsewhere `www.x.com` is also the site
    of `x.com`. `pipelines/lake/names_in_texts.py`, by which people are forgotten, finds all that is found here. -#}
{% macro duckdb__names_in(text) -%}
    {%- set next_sentence = "([.][a-z0-9][A-Za-z0-9-]*)[.][A-Z][A-Za-z0-9.-]*" -%}
    {%- set word_before = "(^|[^A-Za-z0-9._:%@/-])[A-Z][A-Za-z0-9-]*[.]([a-z0-9])" -%}
    {%- set punycode = "((?i:xn)--[A-Za-z0-9-]*)" -%}
    {%- set label = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?" -%}
    {%- set name = label ~ "(?:[.]" ~ label ~ ")+" -%}
    (
        select
            list_distinct(
                list_concat(
                    regexp_extract_all(written, '{{ name }}'),
                    regexp_extract_all(called, '(?:^|[^a-z0-9.@-]|[.][.])-*www[.]({{ name }})', 1),
                    regexp_extract_all(called, '@{{ name }}'),
                    regexp_extract_all(written, 'did:[a-z]+:[a-z0-9._:%-]+'),
                    regexp_extract_all(written, 'did:[a-z]+:[a-z0-9._:%-]*[a-z0-9]'),
                    regexp_extract_all(written, 'did:plc:[a-z2-7]{24}')
                )
            )
        from (
            select
                written,
                regexp_replace(
                    written, '(^|[^a-z0-9.-])at://|/(?:profile|start|starter-pack)/', '\1@', 'g'
                ) as called
            from (
                select
                    lower(
                        concat_ws(
                            ' ',
                            at_dashes,
                            case when contains(forms, '--') then forms end,
                            case
                                when regexp_matches(at_dashes, '{{ next_sentence }}')
                                    then regexp_replace(at_dashes, '{{ next_sentence }}', '\1 ', 'g')
                            end,
                            case
                                when regexp_matches(at_dashes, '{{ word_before }}')
                                    then regexp_replace(
                                        regexp_replace(at_dashes, '{{ word_before }}', '\1 \2', 'g'),
                                        '{{ next_sentence }}', '\1 ', 'g'
                                    )
                            end
                        )
                    ) as written
                from (
                    select
                        forms,
                        -- A label of Punycode is whole: the space behind it goes again.
                        regexp_replace(
                            regexp_replace(forms, '{{ punycode }}|--+', '\1 ', 'g'), '{{ punycode }} ', '\1', 'g'
                        ) as at_dashes
                    from (
                        select
                            concat_ws(
                                ' ',
                                usual,
                                visible,
                                {{ usual_letters('decoded') }},
                                {{ seen(usual_letters('decoded')) }}
                            ) as forms
                        from (
                            select
                                usual,
                                visible,
                                case when contains(usual, '%') then {{ percent_decoded('visible') }} end as decoded
                            from (
                                select
                                    usual,
                                    {{ seen('usual') }} as visible
                                from (select {{ usual_letters(text) }} as usual)
                            )
                        )
                    )
                )
            )
        )
    )
{%- endmacro %}


{#- A text with full-width and other unusual letters written as the usual ones. The plugin says which (`names_in_texts`
    in `pipelines/lake/`). -#}
{% macro usual_letters(text) -%}
    case
        when regexp_matches({{ text }}, getvariable('unusual'))
            then translate({{ text }}, getvariable('unusual_letters'), getvariable('usual_letters'))
        else {{ text }}
    end
{%- endmacro %}


{#- A text without what nobody sees. -#}
{% macro seen(text) -%}
    case
        when regexp_matches({{ text }}, getvariable('invisible'))
            then regexp_replace({{ text }}, getvariable('invisible'), '', 'g')
        else {{ text }}
    end
{%- endmacro %}


{#- A text with percent signs decoded, however often they were encoded; of what is there only after one, as `%61` in
    `%%36%31`, three times. Where some are of no UTF-8, all that are not ASCII are spaces: they are in no name. -#}
{% macro percent_decoded(text) -%}
    {%- set once = "regexp_replace(" ~ usual_letters("written") ~ ", '%(?:25)+([0-9A-Fa-f]{2})', '%\\1', 'g')" -%}
    {%- set ascii = "regexp_replace(" ~ once ~ ", '%[89A-Fa-f][0-9A-Fa-f]', ' ', 'g')" -%}
    case
        when contains({{ text }}, '%')
            then coalesce(
                try({{ decoded_three_times(text, once) }}),
                {{ decoded_three_times(text, ascii) }}
            )
        else {{ text }}
    end
{%- endmacro %}


{#- A text decoded, and what came of it, and what came of that; `encoded` is made of what is `written` each time. -#}
{% macro decoded_three_times(text, encoded) -%}
    {%- set decode = ", lambda written: url_decode(" ~ encoded ~ "))" -%}
    {{ "list_transform(" * 3 }}[{{ text }}]{{ decode * 3 }}[1]
{%- endmacro %}


{% macro linked_post(url, part) %}
    {{- return(adapter.dispatch('linked_post', 'bluesky_lake')(url, part)) -}}
{% endmacro %}

{#- The author (`part` is 1) or the record key (2) of a post that an address leads to: of an app, an embed or a mirror, also
    one within another address; null where there is none. The same as in `pipelines/lake/deleted_posts.py`. -#}
{% macro duckdb__linked_post(url, part) -%}
    {%- set form = "([^/?#&=[:space:]]+)/(?:post|app[.]bsky[.]feed[.]post)/([A-Za-z0-9._:~-]+)" -%}
    nullif(regexp_extract({{ percent_decoded(url) }}, '{{ form }}', {{ part }}), '')
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
