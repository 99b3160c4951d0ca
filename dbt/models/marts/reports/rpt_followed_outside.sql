-- Whom three or more members of a pack follow who are in none.
with strangers as (
    select
        did,
        handle,
        display_name,
        profile_url
    from {{ ref('dim_authors') }}
    where is_publishable and not is_member and handle is not null
),

follows as (
    select distinct
        follower_did,
        followed_did
    from {{ ref('fct_follow_spans') }}
    where is_current
),

counted as (
    select
        followers.pack_uri,
        follows.followed_did,
        count(*) as follower_count
    from follows
    inner join {{ ref('int_report_members') }} as followers on follows.follower_did = followers.did
    group by followers.pack_uri, follows.followed_did
    having count(*) >= 3
),

members as (
    select
        pack_uri,
        count(*) as member_count
    from {{ ref('int_report_members') }}
    group by pack_uri
),

ranked as (
    select
        counted.pack_uri,
        row_number() over (
            partition by counted.pack_uri
            order by counted.follower_count desc, counted.followed_did asc
        ) as rank_number,
        counted.followed_did as did,
        strangers.handle,
        case when {{ names_nobody_withheld(['strangers.display_name']) }} then strangers.display_name end
            as display_name,
        strangers.profile_url,
        counted.follower_count,
        counted.follower_count / members.member_count as follower_share
    from counted
    inner join strangers on counted.followed_did = strangers.did
    inner join members on counted.pack_uri = members.pack_uri
)

select *
from ranked
where rank_number <= 100
