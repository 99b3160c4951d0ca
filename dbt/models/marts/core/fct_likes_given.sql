{{ config(materialized='view') }}

with members as (
    select distinct did
    from {{ ref('int_membership_spans') }}
    where is_current
)

select
    spans.uri as like_uri,
    spans.span_number,
    spans.did as liker_did,
    spans.subject_uri as post_uri,
    spans.subject_did as post_author_did,
    spans.began_at as liked_at,
    spans.began_because,
    spans.first_seen_at,
    spans.last_known_at,
    spans.ended_before is null as is_current,
    case when spans.ended_before is not null then spans.last_known_at end as ended_after,
    spans.ended_before,
    spans.ended_because,
    members.did is not null as is_of_member
from {{ ref('int_member_record_spans') }} as spans
left join members on spans.subject_did = members.did
where
    spans.collection = 'app.bsky.feed.like'
    and spans.subject_uri like 'at://did:%/app.bsky.feed.post/%'
