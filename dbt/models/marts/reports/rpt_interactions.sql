{#- Who talked with whom, among members who may be published. A reply, a quote or a mention is on show as long as its
    post is, a repost as long as what it reposts is, too: int_period_activity has what is. -#}
with periods as (
    select min(period_from) as first_from
    from {{ ref('int_periods') }}
),

-- A mention's time may be that of the version before an edit: of the others it is the activity's own.
interactions_to_read as (
    select * from {{ ref('fct_interactions') }}
    where interacted_at > (select periods.first_from from periods)
    union all
    select * from {{ ref('fct_interactions') }}
    where
        kind = 'mention'
        and not coalesce(interacted_at > (select periods.first_from from periods), false)
        and interaction_uri in (
            select edited.post_uri from {{ ref('int_live_posts') }} as edited
            where edited.is_pulled
        )
),

interactions as (
    select
        activity.period,
        interactions.kind,
        interactions.actor_did,
        interactions.subject_did,
        interactions.interacted_at
    from interactions_to_read as interactions
    inner join {{ ref('int_period_activity') }} as activity on interactions.interaction_uri = activity.item_uri
    where activity.is_in_period and not interactions.is_with_self
),

-- By number, which has the order of the DIDs: members make pairs by the million, and numbers are grouped and ordered
-- quicker.
members as (
    select
        did,
        handle,
        row_number() over (order by did) as member_number
    from {{ ref('rpt_members') }}
),

pack_members as (
    select
        report_members.pack_uri,
        members.did,
        members.member_number
    from {{ ref('int_report_members') }} as report_members
    inner join members on report_members.did = members.did
),

counted as (
    select
        actors.pack_uri,
        interactions.period,
        actors.member_number as actor_number,
        subjects.member_number as subject_number,
        {%- for kind in ['reply', 'quote', 'repost', 'mention'] %}
        count(case when interactions.kind = '{{ kind }}' then 1 end) as {{ kind }}_count,
        {%- endfor %}
        count(*) as interaction_count,
        max(interactions.interacted_at) as last_interacted_at
    from interactions
    inner join pack_members as actors on interactions.actor_did = actors.did
    inner join pack_members as subjects
        on interactions.subject_did = subjects.did and actors.pack_uri = subjects.pack_uri
    group by actors.pack_uri, interactions.period, actors.member_number, subjects.member_number
),

both_ways as (
    select
        pack_uri,
        period,
        least(actor_number, subject_number) as one_number,
        greatest(actor_number, subject_number) as other_number,
        sum(interaction_count) as interaction_count
    from counted
    group by pack_uri, period, least(actor_number, subject_number), greatest(actor_number, subject_number)
),

ties as (
    select
        *,
        row_number() over (
            partition by pack_uri, period
            order by interaction_count desc, one_number asc, other_number asc
        ) as tie_rank_number
    from both_ways
)

select
    counted.pack_uri,
    counted.period,
    actors.did as actor_did,
    subjects.did as subject_did,
    actors.handle as actor_handle,
    subjects.handle as subject_handle,
    counted.reply_count,
    counted.quote_count,
    counted.repost_count,
    counted.mention_count,
    counted.interaction_count,
    counted.last_interacted_at,
    ties.tie_rank_number
from counted
inner join ties
    on
        counted.pack_uri = ties.pack_uri
        and counted.period = ties.period
        and least(counted.actor_number, counted.subject_number) = ties.one_number
        and greatest(counted.actor_number, counted.subject_number) = ties.other_number
inner join members as actors on counted.actor_number = actors.member_number
inner join members as subjects on counted.subject_number = subjects.member_number
