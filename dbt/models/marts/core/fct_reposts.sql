{{ config(materialized='view') }}

with items as (
    select
        item_uri,
        item_rkey,
        member_did,
        item_at,
        post_uri,
        author_did,
        first_observed_at,
        last_observed_at
    from {{ ref('int_feed_items') }}
    where is_repost
    union all
    select
        repost_uri as item_uri,
        {{ rkey_of('repost_uri') }} as item_rkey,
        reposter_did as member_did,
        reposted_at as item_at,
        post_uri,
        post_author_did as author_did,
        first_observed_at,
        last_observed_at
    from {{ ref('int_unpulled_reposts') }}
),

deletions as (
    select * from {{ ref('int_deletions') }}
    where subject_type = 'repost'
),

in_doubt as (
    select
        uri,
        {{ rkey_of('uri') }} as rkey
    from {{ ref('int_records_in_doubt') }}
)

select
    items.item_uri as repost_uri,
    items.member_did as reposter_did,
    items.item_at as reposted_at,
    {{ utc_date('items.item_at') }} as reposted_date,
    items.post_uri,
    items.author_did as post_author_did,
    case when items.member_did = items.author_did then 'repost_of_self' else 'repost' end as kind,
    items.first_observed_at,
    items.last_observed_at,
    deletions.subject_uri is not null as is_gone,
    deletions.last_seen_at as gone_after,
    deletions.missed_at as gone_before,
    deletions.evidence as gone_because,
    in_doubt.uri is not null as is_in_doubt
from items
left join deletions on items.item_uri = deletions.subject_uri
-- By the record key too, in whose order the items are stored: who asks for those in doubt opens no others.
left join in_doubt on items.item_uri = in_doubt.uri and items.item_rkey = in_doubt.rkey
