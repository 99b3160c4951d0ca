{#- Pairs of members who may be published, one of whom follows the other now, in each pack that both are in. -#}
with follows as (
    select
        followers.pack_uri,
        spans.follower_did,
        spans.followed_did,
        min(spans.followed_at) as followed_at
    from {{ ref('fct_follow_spans') }} as spans
    inner join {{ ref('int_report_members') }} as followers on spans.follower_did = followers.did
    inner join {{ ref('int_report_members') }} as followed
        on spans.followed_did = followed.did and followers.pack_uri = followed.pack_uri
    where spans.is_current and spans.follower_did != spans.followed_did
    group by followers.pack_uri, spans.follower_did, spans.followed_did
)

select
    pack_uri,
    least(follower_did, followed_did) as one_did,
    greatest(follower_did, followed_did) as other_did,
    count(*) = 2 as is_mutual,
    max(followed_at) as tied_since
from follows
group by pack_uri, least(follower_did, followed_did), greatest(follower_did, followed_did)
