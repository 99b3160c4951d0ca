{#- What is known of members' follows, likes and other records that are no posts or reposts: the live job heard of it,
    or an audit read it. Revisions of a repository grow, so they tell which of two facts is the newer. -#}
{{ config(materialized='view') }}

with members as (
    select distinct did
    from {{ ref('stg_bluesky__starter_pack_members') }}
)

select
    events.uri,
    events.did,
    events.collection,
    events.rev,
    events.operation != 'delete' as is_there,
    events.event_at as known_at,
    case events.operation when 'delete' then 'delete_event' when 'create' then 'create_event' else 'update_event' end
        as known_because,
    events.cid,
    events.created_at,
    -- Of a follow, an event has the DID in the same place where a like has the URI.
    case when events.subject_uri like 'at://%' then events.subject_uri end as subject_uri,
    coalesce(
        {{ did_of('events.subject_uri') }}, case when events.subject_uri like 'did:%' then events.subject_uri end
    ) as subject_did
from {{ ref('stg_bluesky__repo_events') }} as events
inner join members on events.did = members.did
where
    events.kind = 'commit'
    and events.rev is not null
    and events.collection not in ('app.bsky.feed.post', 'app.bsky.feed.repost')
union all
select
    uri,
    member_did as did,
    collection,
    rev,
    not is_gone as is_there,
    observed_at as known_at,
    case when is_gone then 'record_gone' else 'in_repository' end as known_because,
    cid,
    created_at,
    subject_uri,
    subject_did
from {{ ref('stg_bluesky__member_records') }}
