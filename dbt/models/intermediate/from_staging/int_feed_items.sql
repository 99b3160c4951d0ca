{#- dbt merges the items of new files into those that are there, so that a night's cost does not grow with history.
    The record key, though contained in the URI, is a column of the merge's key: record keys sort by time, so DuckDB
    skips the row groups that are older than all that the night brings. -#}
{%- set new_at = 'coalesce(DBT_INTERNAL_SOURCE.last_observed_at, ' ~ oldest_time() ~ ')' -%}
{%- set known_at = 'coalesce(DBT_INTERNAL_DEST.last_observed_at, ' ~ oldest_time() ~ ')' -%}
{%- set post_uri = 'greatest(DBT_INTERNAL_DEST.post_uri, DBT_INTERNAL_SOURCE.post_uri)' -%}
{%- set author_did = 'greatest(DBT_INTERNAL_DEST.author_did, DBT_INTERNAL_SOURCE.author_did)' -%}
{%- set is_repost = '(DBT_INTERNAL_DEST.is_repost or DBT_INTERNAL_SOURCE.is_repost)' -%}
{%- set post_sort_key = 'case
        when ' ~ is_repost ~ ' or ' ~ author_did ~ ' != DBT_INTERNAL_DEST.member_did then ' ~ uri_sort_key(post_uri) ~ '
    end' -%}
{%- set item_at = 'case
        when ' ~ new_at ~ ' > ' ~ known_at ~ ' then DBT_INTERNAL_SOURCE.item_at
        when ' ~ new_at ~ ' < ' ~ known_at ~ ' then DBT_INTERNAL_DEST.item_at
        else greatest(DBT_INTERNAL_DEST.item_at, DBT_INTERNAL_SOURCE.item_at)
    end' -%}
{{
    config(
        materialized='incremental',
        incremental_strategy='merge',
        unique_key=['member_did', 'item_uri', 'item_rkey'],
        merge_update_columns=[
            'post_uri', 'post_sort_key', 'author_did', 'is_repost', 'item_at', 'first_observed_at', 'last_observed_at',
            'batch_number', 'redated_in'
        ],
        merge_update_set_expressions={
            'post_uri': post_uri,
            'post_sort_key': post_sort_key,
            'author_did': author_did,
            'is_repost': is_repost,
            'item_at': item_at,
            'first_observed_at': 'least(DBT_INTERNAL_DEST.first_observed_at, DBT_INTERNAL_SOURCE.first_observed_at)',
            'last_observed_at': 'greatest(DBT_INTERNAL_DEST.last_observed_at, DBT_INTERNAL_SOURCE.last_observed_at)',
            'redated_in': 'case
                when ' ~ utc_date(item_at) ~ ' is distinct from ' ~ utc_date('DBT_INTERNAL_DEST.item_at') ~ '
                    then DBT_INTERNAL_SOURCE.batch_number
                else DBT_INTERNAL_DEST.redated_in
            end'
        },
        on_schema_change='fail',
        meta={'input': 'base_bluesky__author_feed', 'newest_column': 'post_sort_key'}
    )
}}

with {% if not is_incremental() -%}
-- Of most items of a first night the lake has one row: only the others' rows are grouped, and those without a member,
-- which this project does not write.
seen_again as (
    select item_uri
    from {{ ref('stg_bluesky__author_feed') }}
    group by item_uri
    having count(*) > 1 or count(member_did) = 0
),

{% endif -%}
items as (
    select
        member_did,
        item_uri,
        -- Of reposts alone these differ from the key. DuckDB keeps texts that it compares outside its limit of memory.
        greatest(
            max(case when post_uri != item_uri then post_uri end),
            case when bool_or(post_uri = item_uri) then item_uri end
        ) as post_uri,
        greatest(
            max(case when author_did != member_did then author_did end),
            case when bool_or(author_did = member_did) then member_did end
        ) as author_did,
        bool_or(is_repost) as is_repost,
        -- An edit can change a post's time, or make it unreadable: the newest observation decides, null included; of
        -- several at one moment, the latest time.
        {{ time_at_newest('item_at', 'observed_at') }} as item_at,
        min(observed_at) as first_observed_at,
        max(observed_at) as last_observed_at,
        max(batch_number) as batch_number
    from {{ ref('stg_bluesky__author_feed') }}
    where
    {%- if is_incremental() %}
        batch_number > {{ last_batch() }}
    {%- else %}
        item_uri in (select seen_again.item_uri from seen_again)
    {%- endif %}
    group by member_did, item_uri
    {%- if not is_incremental() %}
    union all
    select
        member_did,
        item_uri,
        post_uri,
        author_did,
        is_repost,
        case when observed_at is not null then item_at end as item_at,
        observed_at as first_observed_at,
        observed_at as last_observed_at,
        batch_number
    from {{ ref('stg_bluesky__author_feed') }}
    where item_uri not in (select seen_again.item_uri from seen_again)
    {%- endif %}
)

select
    member_did,
    item_uri,
    {{ rkey_of('item_uri') }} as item_rkey,
    post_uri,
    author_did,
    is_repost,
    item_at,
    first_observed_at,
    last_observed_at,
    {{ batch_of_rows('batch_number', ref('stg_bluesky__author_feed')) }} as batch_number,
    cast(null as integer) as redated_in,
    case when is_repost or author_did != member_did then {{ uri_sort_key('post_uri') }} end as post_sort_key
from items
-- In the order in which nights add them: readers that ask by time skip the row groups of old items.
{% if not is_incremental() %}order by item_rkey{% endif %}
