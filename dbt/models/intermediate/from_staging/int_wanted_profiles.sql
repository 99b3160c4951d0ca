{#- People in no pack whom three or more members follow, and whom nobody has looked at lately: who they are, and what
    they wish, is asked for. -#}
with clock as (
    select * from {{ ref('int_clock') }}
),

members as (
    select did
    from {{ ref('int_report_members') }}
    where pack_uri = 'all'
),

follows as (
    select distinct
        did,
        subject_did
    from {{ ref('int_member_record_spans') }}
    where collection = 'app.bsky.graph.follow' and ended_before is null
)

select
    follows.subject_did as did,
    count(*) as member_count
from follows
inner join members on follows.did = members.did
cross join clock
left join {{ ref('int_membership_spans') }} as in_packs on follows.subject_did = in_packs.did
left join {{ ref('int_author_looks') }} as looks on follows.subject_did = looks.did
where
    in_packs.did is null
    -- Halfway to the night from which they could not be published.
    and coalesce(
        looks.last_looked_at < {{ before('clock.newest_observed_at', var('publish_within_days') / 2) }}, true
    )
group by follows.subject_did
having count(*) >= 3
