{#- Who knows what: the service, what it shows; the repository, what exists. An answer of neither says nothing, so the
    newest of those who knew stands until another of them. -#}
with checks as (
    select
        *,
        outcome in ('shown', 'in_repository', 'hidden_by_service') as is_there,
        outcome in ('shown', 'in_repository', 'hidden_by_service', 'record_gone') as is_known
    from {{ ref('stg_bluesky__record_checks') }}
    where collection in ('app.bsky.feed.post', 'app.bsky.feed.repost')
)

select
    uri,
    max(did) as did,
    max(collection) as collection,
    {{ newest_known('asked_because', 'observed_at') }} as asked_because,
    {{ newest_known('outcome', 'observed_at') }} as outcome,
    max(observed_at) as answered_at,
    {{ newest_known('outcome', 'case when is_known then observed_at end') }} as known_outcome,
    max(case when is_known then observed_at end) as known_at,
    min(case when is_there then observed_at end) as first_there_at,
    max(case when is_there then observed_at end) as last_there_at,
    -- What the feed lacks is asked for again after some days only, if one of these was the answer.
    max(
        case when outcome in ('in_repository', 'hidden_by_service', 'account_unavailable') then observed_at end
    ) as settled_at,
    {{ newest_known('cid', 'observed_at') }} as cid,
    {{ newest_known('created_at', 'observed_at') }} as created_at,
    {{ newest_known('subject_uri', 'observed_at') }} as subject_uri
from checks
group by uri
