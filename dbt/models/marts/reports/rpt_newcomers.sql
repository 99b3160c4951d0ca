{#- Who came to a pack in the last four weeks. Those who were there when the pack was first looked at did not come: they
    were there. -#}
with clock as (
    select * from {{ ref('int_clock') }}
),

spans as (
    select
        packs.published_uri as pack_uri,
        spans.did,
        spans.not_member_at,
        spans.member_from
    from {{ ref('int_membership_spans') }} as spans
    inner join {{ ref('int_published_packs') }} as packs on spans.pack_uri = packs.pack_uri
    where spans.is_current
),

first_looks as (
    select
        published.published_uri as pack_uri,
        packs.first_observed_at
    from {{ ref('dim_starter_packs') }} as packs
    inner join {{ ref('int_published_packs') }} as published on packs.pack_uri = published.pack_uri
),

came as (
    select spans.*
    from spans
    inner join clock on spans.member_from > clock.month_from
    inner join first_looks
        on spans.pack_uri = first_looks.pack_uri and spans.member_from > first_looks.first_observed_at
    inner join {{ ref('int_report_members') }} as report_members
        on spans.pack_uri = report_members.pack_uri and spans.did = report_members.did
),

with_all as (
    select * from came
    union all
    select
        'all' as pack_uri,
        did,
        -- Of two packs that they came to at once, the older look: then they were in neither.
        {{ oldest_known('not_member_at', '(member_from, not_member_at)') }} as not_member_at,
        min(member_from) as member_from
    from came
    group by did
)

select
    with_all.pack_uri,
    with_all.did,
    members.handle,
    members.display_name,
    members.description,
    members.avatar_url,
    members.profile_url,
    members.followers_count,
    with_all.not_member_at,
    with_all.member_from,
    with_all.member_from > clock.week_from as is_last_week,
    members.post_count,
    members.posts_last_week,
    members.last_active_at
from with_all
cross join clock
inner join {{ ref('rpt_members') }} as members on with_all.did = members.did
