{#- Reposts that no feed has shown: the live job heard of them, or the repository has them. -#}
with members as (
    select distinct did
    from {{ ref('stg_bluesky__starter_pack_members') }}
),

told as (
    select
        events.*,
        row_number() over (partition by events.uri order by events.rev desc, events.operation desc) as newest_first
    from {{ ref('stg_bluesky__repo_events') }} as events
    inner join members on events.did = members.did
    left join {{ ref('int_feed_items') }} as pulled on events.uri = pulled.item_uri and events.did = pulled.member_did
    where
        events.kind = 'commit'
        and events.collection = 'app.bsky.feed.repost'
        and events.operation in ('create', 'update')
        and events.subject_uri is not null
        and pulled.item_uri is null
),

made as (
    select *
    from told
    where newest_first = 1
),

-- The service can show a repost of a later day at its record's own time only; a time to come says nothing.
kept as (
    select
        answers.*,
        case when answers.created_at <= answers.last_there_at then answers.created_at end as made_at
    from {{ ref('int_record_answers') }} as answers
    inner join members on answers.did = members.did
    left join made on answers.uri = made.uri
    left join {{ ref('int_feed_items') }} as pulled on answers.uri = pulled.item_uri and answers.did = pulled.member_did
    where
        answers.collection = 'app.bsky.feed.repost'
        and answers.last_there_at is not null
        and answers.subject_uri is not null
        and made.uri is null
        and pulled.item_uri is null
)

select
    uri as repost_uri,
    did as reposter_did,
    event_at as reposted_at,
    case when created_at is not null then least(created_at, event_at) end as placed_at,
    subject_uri as post_uri,
    {{ did_of('subject_uri') }} as post_author_did,
    observed_at as first_observed_at,
    observed_at as last_observed_at,
    event_at as last_known_at,
    'seen_live_only' as asked_because
from made
union all
select
    uri as repost_uri,
    did as reposter_did,
    made_at as reposted_at,
    made_at as placed_at,
    subject_uri as post_uri,
    {{ did_of('subject_uri') }} as post_author_did,
    first_there_at as first_observed_at,
    last_there_at as last_observed_at,
    last_there_at as last_known_at,
    'absent_from_feed' as asked_because
from kept
