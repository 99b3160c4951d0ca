{#- Who came to a pack in the last four weeks. Those who were there when the pack was first looked at did not come: they
    were there. -#}
with clock as (
    select * from {{ ref('int_clock') }}
),

spans as (
    select
        pack_uri,
        did,
        not_member_at,
        member_from
    from {{ ref('int_membership_spans') }}
    where is_current
),

first_looks as (
    select
        pack_uri,
        first_observed_at
    from {{ ref('dim_starter_packs') }}
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
        min_by(not_member_at, member_from) as not_member_at,
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
