with source as (
    select * from {{ ref('base_bluesky__repo_events') }}
)

select
    kind,
    did,
    event_at,
    rev,
    operation,
    collection,
    rkey,
    uri,
    cid,
    handle,
    is_active,
    status,
    feed,
    service,
    position,
    observed_at,
    created_at,
    subject_uri,
    text,
    langs,
    tags,
    facets,
    reply_parent_uri,
    reply_root_uri,
    embed_type,
    quoted_uri,
    link_uri,
    link_title,
    link_description,
    media,
    self_labels,
    has_issues,
    load_id,
    source_file,
    file_row_number,
    batch_number
from source
-- What cannot be read stays in the lake, in `raw`.
where kind != 'unreadable'
-- Feeds deliver at least once, two feeds deliver the same, and a compacted file holds what small ones held. Feeds may
-- tell different times of one commit: the earliest is nearest to it.
qualify
    row_number() over (
        partition by
            kind, did, collection, rkey, rev, operation,
            case when kind != 'commit' then event_at end,
            case when kind != 'commit' then handle end,
            case when kind != 'commit' then is_active end
        order by event_at asc, observed_at asc, source_file asc, file_row_number asc
    ) = 1
