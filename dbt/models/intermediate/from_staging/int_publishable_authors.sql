with clock as (
    select * from {{ ref('int_clock') }}
),

members as (
    select
        did,
        -- A pack that is read no more lists its members for ever.
        max(case when is_current and is_listed then last_observed_at end) as last_listed_at,
        bool_or(is_current) as is_current_member,
        bool_or(is_current and is_listed) as is_listed_member,
        bool_or(is_current and coalesce(hidden_because in ('blocks_creator', 'blocked_by_creator'), false)) as has_block
    from {{ ref('int_membership_spans') }}
    group by did
),

left_out as (
    {{ left_out() }}
),

named as (
    select distinct lower(did) as did
    from left_out
    where did is not null
),

unresolved as (
    select count(*) as name_count
    from left_out
    where did is null
),

opted_out as (
    select did
    from {{ ref('int_opted_out_authors') }}
),

-- Labels are those that stand: the pull leaves out what was negated. Every run asks for a member's profile and listing,
-- and one of the two that asks to be hidden, or hides, is enough; their label on an old post may be out of date. Of
-- whoever is in no pack, the newest look counts, wherever it was.
pulled_labels_of_profiles as (
    select
        did,
        labels
    from (
        select
            did,
            labels,
            row_number() over (partition by did order by observed_at desc) as newest_first
        from {{ ref('stg_bluesky__profiles') }}
    ) as numbered
    where newest_first = 1
),

told_labels_of_profiles as (
    select
        did,
        observed_at,
        labels
    from {{ ref('stg_bluesky__profiles') }}
    union all
    -- The live job hears between two pulls that somebody asks to be hidden. That they ask no more is for the next pull
    -- to say: an event may lack its record.
    select
        did,
        event_at as observed_at,
        self_labels as labels
    from {{ ref('int_record_states') }}
    where
        collection = 'app.bsky.actor.profile'
        and {{ contains_element('self_labels', "'!no-unauthenticated'") }}
),

labels_of_profiles as (
    select
        did,
        labels
    from (
        select
            did,
            labels,
            row_number() over (
                partition by did
                order by
                    observed_at desc,
                    case when {{ contains_element('labels', "'!no-unauthenticated'") }} then 0 else 1 end
            ) as newest_first
        from told_labels_of_profiles
    ) as numbered
    where newest_first = 1
),

labels_of_memberships as (
    select
        did,
        labels
    from (
        select
            did,
            labels,
            row_number() over (partition by did order by observed_at desc, pack_uri asc) as newest_first
        from {{ ref('stg_bluesky__starter_pack_members') }}
        where is_listed
    ) as numbered
    where newest_first = 1
),

looks_at_strangers as (
    select looks.*
    from {{ ref('int_author_looks') }} as looks
    left join members on looks.did = members.did
    where members.did is null
),

hidden as (
    select labels_of_profiles.did
    from labels_of_profiles
    inner join members on labels_of_profiles.did = members.did
    where {{ contains_element('labels_of_profiles.labels', "'!no-unauthenticated'") }}
    union
    select did
    from labels_of_memberships
    where {{ contains_element('labels', "'!no-unauthenticated'") }}
    union
    select did
    from looks_at_strangers
    where asks_to_be_hidden
),

hidden_by_moderation as (
    select pulled_labels_of_profiles.did
    from pulled_labels_of_profiles
    inner join members on pulled_labels_of_profiles.did = members.did
    where {{ has_hiding_label('pulled_labels_of_profiles.labels') }}
    union
    select did
    from labels_of_memberships
    where {{ has_hiding_label('labels') }}
    union
    select did
    from looks_at_strangers
    where is_hidden_by_moderation
),

dids as (
    select did from members
    union
    select did from opted_out
    union
    select did from {{ ref('int_author_looks') }}
    union
    select post_author_did as did
    from {{ ref('int_unpulled_reposts') }}
    where post_author_did is not null
),

decided as (
    select
        dids.did,
        members.did is not null as is_member,
        looks_at_strangers.did is not null and unresolved.name_count = 0 as is_known_stranger,
        case
            when named.did is not null then 'left_out_by_setting'
            when hidden.did is not null then 'asks_to_be_hidden'
            when hidden_by_moderation.did is not null then 'hidden_by_moderation'
            when opted_out.did is not null then 'opted_out'
            when members.has_block and not members.is_listed_member then 'in_a_block'
            when members.did is not null and not coalesce(availability.is_available, false) then 'unavailable'
            when members.did is not null and not members.is_current_member then 'no_longer_a_member'
            -- An event says that they are back; that they are listed is for the next pull to say.
            when members.did is not null and not members.is_listed_member then 'unavailable'
            -- Of a post that the live job saw reposted, no pull has shown the author yet, nor what they ask for.
            when members.did is null and looks_at_strangers.did is null then 'not_looked_at_recently'
            when
                coalesce(members.last_listed_at, looks_at_strangers.last_looked_at)
                < {{ before('clock.newest_observed_at', var('publish_within_days')) }}
                then 'not_looked_at_recently'
            -- Somebody is left out of whom nobody knows yet who they are: it may be anybody.
            when unresolved.name_count > 0 then 'left_out_unresolved'
        end as withheld_because
    from dids
    cross join clock
    cross join unresolved
    left join named on lower(dids.did) = named.did
    left join members on dids.did = members.did
    left join looks_at_strangers on dids.did = looks_at_strangers.did
    left join hidden on dids.did = hidden.did
    left join hidden_by_moderation on dids.did = hidden_by_moderation.did
    left join opted_out on dids.did = opted_out.did
    left join {{ ref('int_author_availability') }} as availability on dids.did = availability.did
)

select
    did,
    is_member,
    withheld_because is null as is_publishable,
    withheld_because,
    -- When somebody who is in no pack was last looked at, they wished nothing. Others may name them as they may name
    -- people of whom nothing is known.
    withheld_because is not null and not (withheld_because = 'not_looked_at_recently' and is_known_stranger)
        as is_name_withheld
from decided
