{#- What is new is folded into what is known (`merge`): a night neither reads history nor writes it again. The record
    key is in the URI, and a part of the key so that DuckDB leaves aside what is older than all that the night brings:
    URIs sort by author, record keys by time. -#}
{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key=['member_did', 'item_uri', 'item_rkey'],
        merge_update_columns=['item_at', 'first_observed_at', 'last_observed_at', 'batch_number'],
        merge_update_set_expressions={
            'item_at': 'case
                when DBT_INTERNAL_SOURCE.last_observed_at >= DBT_INTERNAL_DEST.last_observed_at
                    then DBT_INTERNAL_SOURCE.item_at
                else DBT_INTERNAL_DEST.item_at
            end',
            'first_observed_at': 'least(DBT_INTERNAL_DEST.first_observed_at, DBT_INTERNAL_SOURCE.first_observed_at)',
            'last_observed_at': 'greatest(DBT_INTERNAL_DEST.last_observed_at, DBT_INTERNAL_SOURCE.last_observed_at)'
        },
        on_schema_change='fail'
    )
}}

select
    member_did,
    item_uri,
    {{ rkey_of('item_uri') }} as item_rkey,
    max(post_uri) as post_uri,
    max(author_did) as author_did,
    bool_or(is_repost) as is_repost,
    -- An edit moves a post to the time at which it was made, or nowhere if that cannot be read.
    {{ value_at_newest('item_at', 'observed_at') }} as item_at,
    min(observed_at) as first_observed_at,
    max(observed_at) as last_observed_at,
    max(batch_number) as batch_number
from {{ ref('stg_bluesky__author_feed') }}
{% if is_incremental() -%}
where batch_number > {{ last_batch() }}
{%- endif %}
group by member_did, item_uri
-- As the nights add them: what is old apart from what is new, for all who ask by time.
{% if not is_incremental() %}order by item_rkey{% endif %}
