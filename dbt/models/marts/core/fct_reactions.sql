{#- What was asked about says which posts are here, and what a list that was read to its end lacks. -#}
with asked as (
    select
        pulls.subject_uri as post_uri,
        pulls.kind,
        pulls.observed_at,
        pulls.is_whole
        and complete_loads.load_id is not null
        -- Of a post that was edited, the service lists the quotes of its newest version, and counts all.
        and (pulls.kind != 'quote' or pulls.item_count >= pulls.known_count) as is_proof
    from {{ ref('stg_bluesky__audience_pulls') }} as pulls
    left join {{ ref('int_complete_loads') }} as complete_loads on pulls.load_id = complete_loads.load_id
    where pulls.kind in ('like', 'repost', 'quote', 'reply')
),

asked_posts as (
    select distinct
        post_uri,
        kind
    from asked
),

members as (
    select distinct did
    from {{ ref('int_membership_spans') }}
    where is_current
),

-- A reply is asked for with the post that it answers and with the one that its conversation begins with. There it
-- stands below what it answers, so that it is missed only where that was seen in the same asking: that a feed shows it
-- later tells nothing of what stood above it.
written as (
    {%- for kind, post_uri, asked_uri in [
        ('quote', 'quoted_uri', 'quoted_uri'),
        ('reply', 'reply_parent_uri', 'reply_parent_uri'),
        ('reply', 'reply_parent_uri', 'thread_root_uri'),
    ] %}
    select
        posts.{{ post_uri }} as post_uri,
        '{{ kind }}' as kind,
        posts.author_did as actor_did,
        posts.post_uri as reaction_uri,
        asked_posts.post_uri as asked_uri,
        posts.posted_at as reacted_at,
        posts.first_observed_at as first_seen_at,
        posts.last_observed_at as last_seen_at,
        posts.deleted_before,
        posts.is_in_doubt
    from {{ ref('fct_posts') }} as posts
    inner join asked_posts on posts.{{ asked_uri }} = asked_posts.post_uri and asked_posts.kind = '{{ kind }}'
    where posts.{{ post_uri }} is not null
    {{ 'union' if not loop.last }}
    {%- endfor %}
),

reactions as (
    select * from written
    union all
    select
        post_uri,
        kind,
        actor_did,
        null as reaction_uri,
        post_uri as asked_uri,
        -- Clients' clocks run ahead, and importers date back.
        least(coalesce(created_at, indexed_at), coalesce(indexed_at, created_at)) as reacted_at,
        first_seen_at,
        last_seen_at,
        null as deleted_before,
        false as is_in_doubt
    from {{ ref('int_reactions') }}
),

missed as (
    select
        reactions.asked_uri,
        reactions.kind,
        reactions.actor_did,
        reactions.reaction_uri,
        min(asked.observed_at) as missed_at
    from reactions
    inner join asked
        on
            reactions.asked_uri = asked.post_uri
            and reactions.kind = asked.kind
            and reactions.last_seen_at < asked.observed_at
    left join {{ ref('fct_post_engagement') }} as answered
        on reactions.post_uri = answered.post_uri and asked.observed_at = answered.observed_at
    left join members on reactions.actor_did = members.did
    where
        asked.is_proof
        and (reactions.asked_uri = reactions.post_uri or answered.post_uri is not null)
        -- Members' own servers tell whether their posts exist.
        and (reactions.reaction_uri is null or members.did is null)
    group by reactions.asked_uri, reactions.kind, reactions.actor_did, reactions.reaction_uri
)

select
    reactions.post_uri,
    {{ did_of('reactions.post_uri') }} as post_author_did,
    reactions.kind,
    reactions.actor_did,
    reactions.reaction_uri,
    min(reactions.reacted_at) as reacted_at,
    min(reactions.first_seen_at) as first_seen_at,
    max(reactions.last_seen_at) as last_seen_at,
    min(least(reactions.deleted_before, missed.missed_at)) is null and not bool_or(reactions.is_in_doubt) as is_current,
    min(least(reactions.deleted_before, missed.missed_at)) as ended_before,
    max(members.did) is not null as is_by_member
from reactions
left join missed
    on
        reactions.asked_uri = missed.asked_uri
        and reactions.kind = missed.kind
        and reactions.actor_did = missed.actor_did
        and reactions.reaction_uri is not distinct from missed.reaction_uri
left join members on reactions.actor_did = members.did
group by reactions.post_uri, reactions.kind, reactions.actor_did, reactions.reaction_uri
