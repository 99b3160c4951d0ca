{#- Who talked with whom, among members who may be published. A reply, a quote or a mention is on show as long as its
    post is, a repost as long as what it reposts is, too: int_period_activity has what is. -#}
with periods as (
    select min(period_from) as first_from
    from {{ ref('int_periods') }}
),

-- A mention's time may be that of the version before an edit: only of the others is it the activity's own.
interactions_to_read as (
    select * from {{ ref('fct_interactions') }}
    where kind != 'mention' and interacted_at > (select periods.first_from from periods)
    union all
    select * from {{ ref('fct_interactions') }}
    where kind = 'mention'
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

members as (
    select
        did,
        handle
    from {{ ref('rpt_members') }}
),

counted as (
    select
        actors.pack_uri,
        interactions.period,
        interactions.actor_did,
        interactions.subject_did,
        {%- for kind in ['reply', 'quote', 'repost', 'mention'] %}
        count(case when interactions.kind = '{{ kind }}' then 1 end) as {{ kind }}_count,
        {%- endfor %}
        count(*) as interaction_count,
        max(interactions.interacted_at) as last_interacted_at
    from interactions
    inner join {{ ref('int_report_members') }} as actors on interactions.actor_did = actors.did
    inner join {{ ref('int_report_members') }} as subjects
        on interactions.subject_did = subjects.did and actors.pack_uri = subjects.pack_uri
    group by actors.pack_uri, interactions.period, interactions.actor_did, interactions.subject_did
),

with_both_ways as (
    select
        *,
        least(actor_did, subject_did) as one_did,
        greatest(actor_did, subject_did) as other_did,
        sum(interaction_count) over (
            partition by pack_uri, period, least(actor_did, subject_did), greatest(actor_did, subject_did)
        ) as both_ways_count
    from counted
)

select
    pairs.pack_uri,
    pairs.period,
    pairs.actor_did,
    pairs.subject_did,
    actors.handle as actor_handle,
    subjects.handle as subject_handle,
    pairs.reply_count,
    pairs.quote_count,
    pairs.repost_count,
    pairs.mention_count,
    pairs.interaction_count,
    pairs.last_interacted_at,
    dense_rank() over (
        partition by pairs.pack_uri, pairs.period
        order by pairs.both_ways_count desc, pairs.one_did asc, pairs.other_did asc
    ) as tie_rank_number
from with_both_ways as pairs
inner join members as actors on pairs.actor_did = actors.did
inner join members as subjects on pairs.subject_did = subjects.did
