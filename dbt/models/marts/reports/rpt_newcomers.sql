{#- Who came to a pack in the last four weeks. Those who were there when the pack was first looked at did not come: they
    were there. -#}
with clock as (
    select * from {{ ref('int_clock') }}
),

spans as (
    select * from {{ ref('int_membership_spans') }}
    where is_current
),

report_members as (
    select * from {{ ref('int_report_members') }}
    where pack_uri != 'all'
),

first_looks as (
    select
        pack_uri,
        first_observed_at
    from {{ ref('dim_starter_packs') }}
)

select
    spans.pack_uri,
    spans.did,
    authors.handle,
    authors.display_name,
    authors.description,
    authors.avatar_url,
    authors.profile_url,
    authors.followers_count,
    spans.not_member_at,
    spans.member_from,
    spans.member_from > clock.week_from as is_last_week,
    summaries.post_count,
    summaries.posts_last_week,
    summaries.last_active_at
from spans
cross join clock
inner join report_members on spans.pack_uri = report_members.pack_uri and spans.did = report_members.did
inner join first_looks on spans.pack_uri = first_looks.pack_uri
inner join {{ ref('dim_authors') }} as authors on spans.did = authors.did
inner join {{ ref('int_member_summaries') }} as summaries on spans.did = summaries.did
where spans.member_from > first_looks.first_observed_at and spans.member_from > clock.month_from
