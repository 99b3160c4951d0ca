with members as (
    select distinct did
    from {{ ref('stg_bluesky__starter_pack_members') }}
),

commits as (
    select events.*
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
    operation = 'delete' as is_deleted
from commits
-- Revisions grow with each commit of a repository. If one commit both writes and deletes a record, the deletion stands.
qualify row_number() over (partition by uri order by rev desc, operation = 'delete' desc) = 1
