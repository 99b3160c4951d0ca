with current_members as (
    select count(distinct did) as member_count
    from {{ ref('int_membership_spans') }}
    where is_current
),

creators as (
    select
        did,
        handle
    from {{ ref('dim_authors') }}
    where is_publishable
),

packs as (
    select
        published.published_uri as pack_uri,
        packs.seed_type,
        packs.pack_name,
        packs.description,
        -- Null too for a creator of whom nothing is known: it may be one who asks to be hidden.
        creators.did as creator_did,
        creators.handle as creator_handle,
        packs.list_item_count,
        packs.member_count,
        packs.joined_week_count,
        packs.joined_all_time_count
    from {{ ref('dim_starter_packs') }} as packs
    inner join {{ ref('int_published_packs') }} as published on packs.pack_uri = published.pack_uri
    left join creators on packs.creator_did = creators.did
    -- Somebody whom the settings name is a pack of one, which shows nobody if they are withheld.
    where packs.seed_type != 'actor' or creators.did is not null
    union all
    select
        'all' as pack_uri,
        'all' as seed_type,
        'All packs' as pack_name,
        null as description,
        null as creator_did,
        null as creator_handle,
        null as list_item_count,
        current_members.member_count,
        null as joined_week_count,
        null as joined_all_time_count
    from current_members
),

published as (
    select
        pack_uri,
        count(*) as published_member_count
    from {{ ref('int_report_members') }}
    group by pack_uri
)

select
    packs.pack_uri,
    packs.seed_type,
    {%- for words in ['pack_name', 'description'] %}
    case when {{ names_nobody_withheld(['packs.' ~ words]) }} then packs.{{ words }} end as {{ words }},
    {%- endfor %}
    packs.creator_handle,
    case packs.seed_type
        when 'starter_pack'
            then 'https://bsky.app/starter-pack/' || packs.creator_did || '/' || {{ rkey_of('packs.pack_uri') }}
        when 'list'
            then 'https://bsky.app/profile/' || packs.creator_did || '/lists/' || {{ rkey_of('packs.pack_uri') }}
        when 'actor' then 'https://bsky.app/profile/' || packs.creator_did
    end as pack_url,
    packs.list_item_count,
    packs.member_count,
    coalesce(published.published_member_count, 0) as published_member_count,
    packs.joined_week_count,
    packs.joined_all_time_count,
    clock.newest_observed_at
from packs
cross join {{ ref('int_clock') }} as clock
left join published on packs.pack_uri = published.pack_uri
