with packs as (
    select
        *,
        min(observed_at) over (partition by pack_uri) as first_observed_at,
        row_number() over (partition by pack_uri order by observed_at desc) as newest_first
    from {{ ref('stg_bluesky__starter_packs') }}
),

memberships as (
    select * from {{ ref('stg_bluesky__starter_pack_members') }}
),

member_counts as (
    select
        pack_uri,
        count(distinct did) as member_count
    from {{ ref('int_membership_spans') }}
    where is_current
    group by pack_uri
),

-- An actor whom the settings name counts as a pack with one member.
actors as (
    select
        memberships.pack_uri,
        memberships.did,
        memberships.handle,
        memberships.display_name,
        memberships.observed_at,
        min(memberships.observed_at) over (partition by memberships.pack_uri) as first_observed_at,
        row_number() over (
            partition by memberships.pack_uri
            order by memberships.observed_at desc, memberships.did asc
        ) as newest_first
    from memberships
    where memberships.seed_type = 'actor'
),

all_seeds as (
    select
        pack_uri,
        seed_type,
        pack_name,
        description,
        creator_did,
        creator_handle,
        list_uri,
        list_item_count,
        joined_week_count,
        joined_all_time_count,
        created_at,
        first_observed_at,
        observed_at as last_observed_at,
        is_membership_complete
    from packs
    where newest_first = 1
    union all
    select
        pack_uri,
        'actor' as seed_type,
        coalesce(display_name, handle, did) as pack_name,
        null as description,
        did as creator_did,
        handle as creator_handle,
        null as list_uri,
        1 as list_item_count,
        null as joined_week_count,
        null as joined_all_time_count,
        null as created_at,
        first_observed_at,
        observed_at as last_observed_at,
        true as is_membership_complete
    from actors
    where newest_first = 1
)

select
    all_seeds.*,
    coalesce(member_counts.member_count, 0) as member_count
from all_seeds
left join member_counts on all_seeds.pack_uri = member_counts.pack_uri
