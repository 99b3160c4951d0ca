with members as (
    select distinct did
    from {{ ref('int_membership_spans') }}
    where is_current
)

select
    spans.uri as follow_uri,
    spans.span_number,
    spans.did as follower_did,
    spans.subject_did as followed_did,
    spans.began_at as followed_at,
    spans.began_because,
    spans.first_seen_at,
    spans.last_known_at,
    spans.ended_before is null as is_current,
    case when spans.ended_before is not null then spans.last_known_at end as ended_after,
    spans.ended_before,
    spans.ended_because,
    followers.did is not null and followed.did is not null as is_inside
from {{ ref('int_member_record_spans') }} as spans
left join members as followers on spans.did = followers.did
left join members as followed on spans.subject_did = followed.did
where spans.collection = 'app.bsky.graph.follow' and spans.subject_did is not null
