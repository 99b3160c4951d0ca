{#- Records that a later walk through the feed, in a complete load, should have shown and did not. A record that another
    feed or an event showed since is not missed. What this lists is a reason to ask, and proves nothing. -#}
with pulls as (
    select
        member_did,
        observed_at,
        -- A pull that read the feed to its end covers all of the past.
        case when reached_end then {{ oldest_time() }} else covered_from end as covered_from,
        covered_to,
        reached_end
    from {{ ref('int_member_pulls') }}
    where is_coverage
),

oldest_coverage as (
    select min(covered_from) as covered_from
    from pulls
    where not reached_end
),

-- What pulls cover, and the moments at which one was the last to see an item. Items older than all that was read again
-- cannot be missing: this filter leaves out most of history.
moments as (
    select
        member_did,
        observed_at,
        min(covered_from) as covered_from
    from (
        select
            member_did,
            observed_at,
            covered_from
        from pulls
        union all
        select distinct
            member_did,
            last_observed_at as observed_at,
            null as covered_from
        from {{ ref('int_feed_items') }}
        where item_at > (select oldest_coverage.covered_from from oldest_coverage)
    ) as either
    group by member_did, observed_at
),

-- For all items that one pull saw last: the furthest that any later pull of the feed covers. A window, since it would
-- cost the square of the nights to join each moment with each later one.
coverage_after as (
    select
        member_did,
        observed_at as last_observed_at,
        min(covered_from) over (
            partition by member_did
            order by observed_at desc rows between unbounded preceding and 1 preceding
        ) as covered_from
    from moments
),

-- Nothing is too old, or of too unknown a time, for a pull that read the whole feed again.
whole_pulls as (
    select
        member_did,
        max(observed_at) as observed_at
    from pulls
    where reached_end
    group by member_did
),

longest_unseen as (
    select
        member_did,
        min(last_observed_at) as last_observed_at
    from {{ ref('int_feed_items') }}
    group by member_did
),

read_again as (
    select whole_pulls.*
    from whole_pulls
    inner join longest_unseen
        on
            whole_pulls.member_did = longest_unseen.member_did
            and whole_pulls.observed_at > longest_unseen.last_observed_at
),

unseen as (
    select items.*
    from {{ ref('int_feed_items') }} as items
    inner join coverage_after
        on
            items.member_did = coverage_after.member_did
            and items.last_observed_at = coverage_after.last_observed_at
    where
        items.item_at > coverage_after.covered_from
        and items.item_at > (select oldest_coverage.covered_from from oldest_coverage)
    union all
    select items.*
    from {{ ref('int_feed_items') }} as items
    inner join read_again
        on items.member_did = read_again.member_did and items.last_observed_at < read_again.observed_at
),

-- The feed places a repost at its record's own time, which no pull is told: where neither an event nor an answer told
-- it, the place is unknown.
of_feeds as (
    select
        unseen.item_uri as uri,
        unseen.member_did as did,
        unseen.post_uri,
        unseen.is_repost,
        case
            when not unseen.is_repost then unseen.item_at
            when coalesce(states.created_at, answers.created_at) is not null
                then least(states.created_at, answers.created_at, unseen.item_at)
        end as placed_at,
        unseen.last_observed_at as last_known_at,
        'absent_from_feed' as asked_because
    from unseen
    left join {{ ref('int_record_states') }} as states on unseen.item_uri = states.uri and unseen.is_repost
    left join {{ ref('int_record_answers') }} as answers on unseen.item_uri = answers.uri and unseen.is_repost
    where unseen.is_repost or unseen.member_did = unseen.author_did
),

of_nobodys_feed as (
    select
        posts.post_uri as uri,
        posts.author_did as did,
        posts.post_uri,
        false as is_repost,
        posts.posted_at as placed_at,
        states.event_at as last_known_at,
        'seen_live_only' as asked_because
    from {{ ref('int_live_posts') }} as posts
    inner join {{ ref('int_record_states') }} as states on posts.post_uri = states.uri
    where not posts.is_pulled
    union all
    select
        repost_uri as uri,
        reposter_did as did,
        post_uri,
        true as is_repost,
        placed_at,
        last_known_at,
        asked_because
    from {{ ref('int_unpulled_reposts') }}
),

records as (
    select * from of_feeds
    union all
    select * from of_nobodys_feed
),

missed as (
    select
        records.uri,
        records.did,
        records.post_uri,
        records.is_repost,
        records.last_known_at,
        records.asked_because,
        max(pulls.observed_at) as last_missed_at
    from records
    inner join pulls
        on
            records.did = pulls.member_did
            and records.last_known_at < pulls.observed_at
            -- covered_from itself lies outside: a page can end between two items of the same time. Only a pull that
            -- read the whole feed misses a record whose place is unknown.
            and (
                pulls.reached_end
                or (records.placed_at > pulls.covered_from and records.placed_at <= pulls.covered_to)
            )
    group by
        records.uri,
        records.did,
        records.post_uri,
        records.is_repost,
        records.last_known_at,
        records.asked_because
),

missed_with_keys as (
    select
        *,
        {{ uri_sort_key('uri') }} as uri_sort_key
    from missed
),

-- A post that its author's feed misses may still show in somebody else's, who reposted it: int_posts knows when any
-- feed last did.
seen_elsewhere as (
    select
        posts.post_uri,
        max(posts.last_observed_at) as last_observed_at
    from {{ ref('int_posts') }} as posts
    where posts.post_sort_key in (select missed.uri_sort_key from missed_with_keys as missed)
    group by posts.post_uri
),

with_sightings as (
    select
        missed.uri,
        missed.did,
        case when missed.is_repost then 'app.bsky.feed.repost' else 'app.bsky.feed.post' end as collection,
        missed.post_uri,
        missed.asked_because,
        greatest(
            missed.last_known_at,
            seen_elsewhere.last_observed_at,
            case when not states.is_deleted then states.event_at end
        ) as last_seen_at,
        missed.last_missed_at
    from missed_with_keys as missed
    left join seen_elsewhere on missed.uri = seen_elsewhere.post_uri
    left join {{ ref('int_record_states') }} as states on missed.uri = states.uri
)

select *
from with_sightings
where last_seen_at < last_missed_at
