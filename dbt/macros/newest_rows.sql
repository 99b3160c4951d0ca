{#- Where in the lake the newest version of each post is: of every post, or of those that were seen since int_posts was
    last built. -#}
{% macro newest_rows_of_posts() %}
    select
        observations.post_uri,
        observations.source_file,
        observations.file_row_number,
        min(observations.observed_at) over (partition by observations.post_uri) as first_observed_at,
        bool_or(observations.member_did = observations.author_did)
            over (partition by observations.post_uri)
            as is_in_own_feed,
        max(observations.batch_number) over (partition by observations.post_uri) as batch_number
    from {{ ref('stg_bluesky__author_feed') }} as observations
    {% if is_incremental() -%}
    where
        observations.post_uri in (
            select touched.post_uri
            from {{ ref('stg_bluesky__author_feed') }} as touched
            where touched.batch_number > {{ last_batch() }}
        )
    {%- endif %}
    qualify
        row_number() over (
            partition by observations.post_uri
            order by observations.observed_at desc, observations.source_file desc, observations.file_row_number desc
        ) = 1
{% endmacro %}


{#- The files of those rows that are still there. -#}
{% macro files_of_newest_rows() %}
    {%- if not execute -%}
        {{- return([]) -}}
    {%- endif -%}
    {%- set query -%}
        select source_file
        from {{ ref('base_lake__files') }}
        where is_present and source_file in (select source_file from ({{ newest_rows_of_posts() }}))
        order by source_file
    {%- endset -%}
    {{- return(run_query(query).columns[0].values()) -}}
{% endmacro %}
