{#- A feed item is gone when a later pull of the same feed, in a complete load, covers the item's time without finding
    the item. A repost also goes with the post that it is of. An item that any feed shows later is still there. -#}
with pulls as (
    select
        member_did,
        observed_at,
        -- A pull that read the feed to its end covers all of the past.
        case when reached_end then cast('0001-01-01' as timestamptz) else covered_from end as covered_from,
        covered_to,
        reached_end
    from {{ ref('int_member_pulls') }}
    where is_coverage
),

-- For all items that one pull saw last: the furthest that any later pull of the feed covers.
sightings as (
    select distinct
        member_did,
        last_observed_at
    from {{ ref('int_feed_items') }}
),

coverage_after as (
    select
        sightings.member_did,
        sightings.last_observed_at,
        min(pulls.covered_from) as covered_from,
        bool_or(pulls.reached_end) as reached_end
    from sightings
    inner join pulls
        on
            sightings.member_did = pulls.member_did
            and sightings.last_observed_at < pulls.observed_at
    group by sightings.member_did, sightings.last_observed_at
),

oldest_coverage as (
    select min(covered_from) as covered_from
    from coverage_after
    where not reached_end
),

-- Items older than all that was read again cannot be missing. This filter leaves out most of history at once.
missing as (
    select items.*
    from {{ ref('int_feed_items') }} as items
    inner join coverage_after
        on
            items.member_did = coverage_after.member_did
            and items.last_observed_at = coverage_after.last_observed_at
    where
        not coverage_after.reached_end
        and items.item_at > coverage_after.covered_from
        and items.item_at > (select oldest_coverage.covered_from from oldest_coverage)
    union all
    select items.*
    from {{ ref('int_feed_items') }} as items
    inner join coverage_after
        on
            items.member_did = coverage_after.member_did
            and items.last_observed_at = coverage_after.last_observed_at
    where coverage_after.reached_end
),

missed_by as (
    select
        missing.member_did,
        missing.item_uri,
        missing.post_uri,
        missing.author_did,
        missing.is_repost,
        missing.last_observed_at,
        min(pulls.observed_at) as missed_at
    from missing
    inner join pulls
        on
            missing.member_did = pulls.member_did
            and missing.last_observed_at < pulls.observed_at
            -- covered_from itself lies outside: a page can end between two items of the same time. Only a pull that
            -- read the whole feed misses an item without item_at.
            and (pulls.reached_end or (missing.item_at > pulls.covered_from and missing.item_at <= pulls.covered_to))
    group by all
),

missed_posts as (
    select distinct post_uri
    from missed_by
    where not is_repost
),

-- A post that its author's feed misses may still show in the feed of somebody who reposted it.
seen_elsewhere as (
    select
        items.post_uri,
        max(items.last_observed_at) as last_observed_at
    from {{ ref('int_feed_items') }} as items
    inner join missed_posts on items.post_uri = missed_posts.post_uri
    where items.is_repost or items.member_did != items.author_did
    group by items.post_uri
),

deleted_posts as (
    select
        'post' as subject_type,
        missed_by.item_uri as subject_uri,
        missed_by.member_did as did,
        greatest(
            missed_by.last_observed_at, coalesce(seen_elsewhere.last_observed_at, missed_by.last_observed_at)
        ) as last_seen_at,
        missed_by.missed_at,
        'absent_from_covered_window' as evidence
    from missed_by
    left join seen_elsewhere on missed_by.post_uri = seen_elsewhere.post_uri
    where
        not missed_by.is_repost
        and missed_by.member_did = missed_by.author_did
        and coalesce(seen_elsewhere.last_observed_at < missed_by.missed_at, true)
),

deleted_reposts as (
    select
        'repost' as subject_type,
        missed_by.item_uri as subject_uri,
        missed_by.member_did as did,
        missed_by.last_observed_at as last_seen_at,
        missed_by.missed_at,
        case
            when deleted_posts.subject_uri is not null then 'subject_deleted'
            when availability.is_available = false then 'subject_author_unavailable'
            else 'absent_from_covered_window'
        end as evidence
    from missed_by
    left join deleted_posts on missed_by.post_uri = deleted_posts.subject_uri
    left join {{ ref('int_author_availability') }} as availability on missed_by.author_did = availability.did
    where missed_by.is_repost
),

deletions_told as (
    select
        uri,
        case when collection = 'app.bsky.feed.post' then 'post' else 'repost' end as subject_type,
        did,
        event_at
    from {{ ref('int_record_states') }}
    where is_deleted and collection in ('app.bsky.feed.post', 'app.bsky.feed.repost')
),

newest_sightings as (
    select
        items.item_uri,
        max(items.last_observed_at) as last_observed_at
    from {{ ref('int_feed_items') }} as items
    inner join deletions_told on items.item_uri = deletions_told.uri
    group by items.item_uri
),

-- A delete event gives the exact time. The service may go on showing the record for some hours; if a pull sees it more
-- than a day later, its author made it anew while the live job was not listening.
told_by_events as (
    select
        told.subject_type,
        told.uri as subject_uri,
        told.did,
        told.event_at as last_seen_at,
        told.event_at as missed_at,
        'delete_event' as evidence
    from deletions_told as told
    left join newest_sightings as seen on told.uri = seen.item_uri
    where seen.last_observed_at is null or {{ before('seen.last_observed_at', 1) }} < told.event_at
),

unavailable_accounts as (
    select
        'account' as subject_type,
        'at://' || did as subject_uri,
        did,
        last_available_at as last_seen_at,
        unavailable_at as missed_at,
        status as evidence
    from {{ ref('int_author_availability') }}
    where not is_available and status in ('deactivated', 'suspended', 'not_found')
)

select * from told_by_events
union all
select deleted_posts.*
from deleted_posts
left join told_by_events on deleted_posts.subject_uri = told_by_events.subject_uri
where told_by_events.subject_uri is null
union all
select deleted_reposts.*
from deleted_reposts
left join told_by_events on deleted_reposts.subject_uri = told_by_events.subject_uri
where told_by_events.subject_uri is null
union all
select * from unavailable_accounts
