-- Who began to follow whom in the last week, among members who may be published.
with members as (
    select
        did,
        handle
    from {{ ref('rpt_members') }}
),

follows as (
    select
        spans.follower_did,
        spans.followed_did,
        min(spans.followed_at) as followed_at
    from {{ ref('fct_follow_spans') }} as spans
    where spans.is_current and spans.follower_did != spans.followed_did
    group by spans.follower_did, spans.followed_did
)

select
    followers.pack_uri,
    follows.follower_did,
    follows.followed_did,
    one.handle as follower_handle,
    other.handle as followed_handle,
    follows.followed_at
from follows
inner join {{ ref('int_clock') }} as clock
    on follows.followed_at > clock.week_from and follows.followed_at <= clock.newest_observed_at
inner join {{ ref('int_report_members') }} as followers on follows.follower_did = followers.did
inner join {{ ref('int_report_members') }} as followed
    on follows.followed_did = followed.did and followers.pack_uri = followed.pack_uri
inner join members as one on follows.follower_did = one.did
inner join members as other on follows.followed_did = other.did
