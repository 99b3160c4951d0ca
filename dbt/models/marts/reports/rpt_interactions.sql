{#- Who talked with whom in the last four weeks, among members who may be published. -#}
with clock as (
    select * from {{ ref('int_clock') }}
),

report_members as (
    select * from {{ ref('int_report_members') }}
),

-- A reply or a quote is on show as long as its post is, a repost as long as what it reposts is, too.
shown as (
    select item_uri
    from {{ ref('int_recent_activity') }}
),

-- One kind after the other: so DuckDB sees for each which table it is from, and leaves aside what is older there.
interactions as (
    {% for kind in ['reply', 'quote', 'repost', 'mention'] -%}
    select interactions.*
    from {{ ref('fct_interactions') }} as interactions
    inner join clock on interactions.interacted_at > clock.month_from
    inner join shown on interactions.interaction_uri = shown.item_uri
    where interactions.kind = '{{ kind }}' and not interactions.is_with_self
    {{ 'union all' if not loop.last }}
    {% endfor -%}
),

authors as (
    select * from {{ ref('dim_authors') }}
)

select
    actors.pack_uri,
    interactions.actor_did,
    interactions.subject_did,
    max(actor_authors.handle) as actor_handle,
    max(subject_authors.handle) as subject_handle,
    cast(sum(case when interactions.kind = 'reply' then 1 else 0 end) as bigint) as reply_count,
    cast(sum(case when interactions.kind = 'quote' then 1 else 0 end) as bigint) as quote_count,
    cast(sum(case when interactions.kind = 'repost' then 1 else 0 end) as bigint) as repost_count,
    cast(sum(case when interactions.kind = 'mention' then 1 else 0 end) as bigint) as mention_count,
    count(*) as interaction_count,
    max(interactions.interacted_at) as last_interacted_at
from interactions
inner join report_members as actors on interactions.actor_did = actors.did
inner join report_members as subjects
    on interactions.subject_did = subjects.did and actors.pack_uri = subjects.pack_uri
inner join authors as actor_authors on interactions.actor_did = actor_authors.did
inner join authors as subject_authors on interactions.subject_did = subject_authors.did
group by actors.pack_uri, interactions.actor_did, interactions.subject_did
