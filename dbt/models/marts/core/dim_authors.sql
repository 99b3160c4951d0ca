with members as (
    select
        did,
        bool_or(is_current) as is_current_member,
        min(member_from) as first_member_at
    from {{ ref('int_membership_spans') }}
    group by did
),

profiles as (
    select *
    from (
        select
            *,
            row_number() over (partition by did order by observed_at desc) as newest_first
        from {{ ref('stg_bluesky__profiles') }}
    ) as numbered
    where newest_first = 1
),

handles as (
    select *
    from {{ ref('int_handle_spans') }}
    where is_current
),

-- People who are no members are known from posts that members reposted or like, and from what they do with members'.
looks as (
    select * from {{ ref('int_author_looks') }}
),

-- Of somebody whose post a member reposted, where no feed has shown it, the DID alone is known.
heard_of as (
    select
        post_author_did as did,
        min(first_observed_at) as first_seen_at,
        max(last_observed_at) as last_seen_at
    from {{ ref('int_unpulled_reposts') }}
    where post_author_did is not null
    group by post_author_did
),

dids as (
    select did from members
    union
    select did from looks
    union
    select did from heard_of
),

publishability as (
    select * from {{ ref('int_publishable_authors') }}
),

availability as (
    select * from {{ ref('int_author_availability') }}
)

select
    dids.did,
    -- The service says `handle.invalid` where it cannot check a handle now: the last good one says more. A stranger's
    -- profile may have been asked for once, long before the newest look.
    case
        when members.did is not null
            then coalesce(handles.handle, looks.valid_handle, profiles.handle, looks.handle)
        else coalesce(looks.valid_handle, handles.handle, profiles.handle, looks.handle)
    end as handle,
    case
        when members.did is not null then coalesce(profiles.display_name, looks.display_name)
        else looks.display_name
    end as display_name,
    profiles.description,
    profiles.avatar_url,
    profiles.links,
    members.did is not null as is_member,
    coalesce(members.is_current_member, false) as is_current_member,
    members.first_member_at,
    case when members.did is not null then coalesce(availability.status, 'unknown') end as status,
    profiles.followers_count,
    profiles.follows_count,
    profiles.posts_count,
    profiles.created_at as account_created_at,
    profiles.joined_via_pack_uri,
    profiles.pinned_post_uri,
    profiles.labels,
    {{ contains_element('profiles.labels', "'bot'") }} as is_bot,
    coalesce(publishability.is_publishable, false) as is_publishable,
    publishability.withheld_because,
    least(looks.first_seen_at, heard_of.first_seen_at, members.first_member_at) as first_seen_at,
    greatest(
        looks.last_looked_at, heard_of.last_seen_at, availability.last_observed_at, profiles.observed_at
    ) as last_seen_at,
    profiles.observed_at as profile_observed_at,
    'https://bsky.app/profile/' || dids.did as profile_url
from dids
left join members on dids.did = members.did
left join profiles on dids.did = profiles.did
left join handles on dids.did = handles.did
left join looks on dids.did = looks.did
left join heard_of on dids.did = heard_of.did
left join publishability on dids.did = publishability.did
left join availability on dids.did = availability.did
