with members as (
    select distinct did
    from {{ ref('stg_bluesky__starter_pack_members') }}
),

commits as (
    select
        events.uri,
        events.did,
        events.collection,
        events.event_at,
        events.created_at,
        events.self_labels,
        events.operation = 'delete' as is_deleted,
        -- Revisions grow with each commit of a repository. If one commit both writes and deletes a record, the deletion
        -- stands; if it both makes and updates one, the update.
        row_number() over (
            partition by events.uri
            order by events.rev desc, events.operation = 'delete' desc, events.operation desc
        ) as newest_first
    from {{ ref('stg_bluesky__repo_events') }} as events
    inner join members on events.did = members.did
    where events.kind = 'commit'
)

select
    uri,
    did,
    collection,
    event_at,
    created_at,
    self_labels,
    is_deleted
from commits
where newest_first = 1
