{#- Reposts that were made since the last pull, and reposts that were made and deleted between two pulls. Once a pull
    has covered the time of a repost, the feed decides: what it shows is in int_feed_items. -#}
with members as (
    select distinct did
    from {{ ref('stg_bluesky__starter_pack_members') }}
),

coverage as (
    select
        member_did,
        max(covered_to) as covered_to
    from {{ ref('int_member_pulls') }}
    where is_coverage
    group by member_did
),

made as (
    select events.*
    from {{ ref('stg_bluesky__repo_events') }} as events
    inner join members on events.did = members.did
    left join {{ ref('int_feed_items') }} as pulled on events.uri = pulled.item_uri and events.did = pulled.member_did
    where
        events.kind = 'commit'
        and events.collection = 'app.bsky.feed.repost'
        and events.operation in ('create', 'update')
        and events.subject_uri is not null
        and pulled.item_uri is null
    qualify row_number() over (partition by events.uri order by events.rev desc) = 1
)

select
    made.uri as repost_uri,
    made.did as reposter_did,
    made.event_at as reposted_at,
    made.subject_uri as post_uri,
    {{ did_of('made.subject_uri') }} as post_author_did,
    made.observed_at
from made
left join coverage on made.did = coverage.member_did
left join {{ ref('int_record_states') }} as states on made.uri = states.uri
where
    coverage.covered_to is null
    or made.event_at > coverage.covered_to
    or states.is_deleted
