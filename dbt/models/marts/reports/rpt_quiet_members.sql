{#- Who used to post and had not for a while when their feed was last read. -#}
with summaries as (
    select * from {{ ref('int_member_summaries') }}
    where last_active_at is not null
),

quiet as (
    select
        summaries.did,
        summaries.last_active_at,
        {{ hours_between('summaries.last_active_at', 'pulls.covered_to') }} / 24e0 as quiet_days
    from summaries
    inner join {{ ref('fct_pull_coverage') }} as pulls
        on
            summaries.did = pulls.did
            and summaries.last_active_at <= {{ before('pulls.covered_to', var('quiet_after_days')) }}
),

used_to as (
    select
        quiet.did,
        sum(days.post_count + days.publishable_repost_count) as actions_before
    from {{ ref('int_author_days') }} as days
    inner join quiet on days.did = quiet.did
    where days.date_day > {{ utc_date(before('quiet.last_active_at', 84)) }}
    group by quiet.did
)

select
    report_members.pack_uri,
    quiet.did,
    members.handle,
    members.display_name,
    members.profile_url,
    quiet.last_active_at,
    quiet.quiet_days,
    used_to.actions_before / 12e0 as usual_actions_per_week
from quiet
inner join used_to on quiet.did = used_to.did
inner join {{ ref('int_report_members') }} as report_members on quiet.did = report_members.did
inner join {{ ref('rpt_members') }} as members on quiet.did = members.did
