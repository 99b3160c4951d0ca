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
    from {{ ref('stg_bluesky__profiles') }}
    qualify row_number() over (partition by did order by observed_at desc) = 1
),

handles as (
    select *
    from {{ ref('int_handle_spans') }}
    where is_current
),

posts as (
    select * from {{ ref('int_posts') }}
    where author_did is not null
),

-- People who are no members are known from the posts of theirs that members reposted.
seen_in_posts as (
    select
        author_did as did,
        arg_max(case when author_handle != 'handle.invalid' then author_handle end, last_observed_at) as valid_handle,
        arg_max(author_handle, last_observed_at) as handle,
        arg_max(author_display_name, last_observed_at) as display_name,
        min(first_observed_at) as first_seen_at,
        max(last_observed_at) as last_seen_at
    from posts
    group by author_did
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
    select did from seen_in_posts
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
    -- The service says `handle.invalid` where it cannot check a handle now: the last good one says more.
    coalesce(handles.handle, seen_in_posts.valid_handle, profiles.handle, seen_in_posts.handle) as handle,
    coalesce(profiles.display_name, seen_in_posts.display_name) as display_name,
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
    least(seen_in_posts.first_seen_at, heard_of.first_seen_at, members.first_member_at) as first_seen_at,
    greatest(
        seen_in_posts.last_seen_at, heard_of.last_seen_at, availability.last_observed_at, profiles.observed_at
    ) as last_seen_at,
    profiles.observed_at as profile_observed_at,
    'https://bsky.app/profile/' || dids.did as profile_url
from dids
left join members on dids.did = members.did
left join profiles on dids.did = profiles.did
left join handles on dids.did = handles.did
left join seen_in_posts on dids.did = seen_in_posts.did
left join heard_of on dids.did = heard_of.did
left join publishability on dids.did = publishability.did
left join availability on dids.did = availability.did
