{#- Where in the lake the newest version of each post is: of every post, or of those that were seen since int_posts was
    last built, whose newest row until then is in int_posts itself. -#}
{% macro newest_rows_of_posts() %}
    with seen as (
        select
            post_uri,
            observed_at,
            observed_at as first_observed_at,
            member_did = author_did as is_in_own_feed,
            source_file,
            file_row_number,
            batch_number
        from {{ ref('stg_bluesky__author_feed') }}
        {% if is_incremental() -%}
        where batch_number > {{ last_batch() }}
        union all
        select
            known.post_uri,
            known.last_observed_at as observed_at,
            known.first_observed_at,
            known.is_in_own_feed,
            known.source_file,
            known.file_row_number,
            known.batch_number
        from {{ this }} as known
        where
            known.post_uri in (
                select touched.post_uri
                from {{ ref('stg_bluesky__author_feed') }} as touched
                where touched.batch_number > {{ last_batch() }}
            )
        {%- endif %}
    )

    select
        post_uri,
        source_file,
        file_row_number,
        min(first_observed_at) over (partition by post_uri) as first_observed_at,
        bool_or(is_in_own_feed) over (partition by post_uri) as is_in_own_feed,
        max(batch_number) over (partition by post_uri) as batch_number
    from seen
    qualify
        row_number() over (
            partition by post_uri
            order by observed_at desc, source_file desc, file_row_number desc
        ) = 1
{% endmacro %}


{#- The files that can hold such a row: the unread ones. Where one of them came late, the newest row can be in any that
    was read before and is newer. -#}
{% macro files_of_newest_rows() %}
    {%- if not is_incremental() -%}
        {{- return(unread_files('author_feed').files) -}}
    {%- endif -%}
    {%- set query -%}
        select source_file
        from {{ ref('base_lake__files') }}
        where
            table_name = 'author_feed'
            and is_present
            and (
                batch_number > {{ last_batch() }}
                or source_file in (
                    select known.source_file
                    from {{ this }} as known
                    where
                        known.last_observed_at >= (
                            select min(unread.observed_at)
                            from {{ ref('stg_bluesky__author_feed') }} as unread
                            where unread.batch_number > {{ last_batch() }}
                        )
                )
            )
        order by source_file
    {%- endset -%}
    {{- return(run_query(query).columns[0].values()) -}}
{% endmacro %}
