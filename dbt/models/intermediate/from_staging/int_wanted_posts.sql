{#- Posts of people in no pack that three or more members liked or reposted in the last four weeks, and that nobody has
    looked at lately: the words, and what their authors wish, are asked for. -#}
with clock as (
    select * from {{ ref('int_clock') }}
),

members as (
    select did
    from {{ ref('int_report_members') }}
    where pack_uri = 'all'
),

liked as (
    select
        spans.subject_uri as post_uri,
        spans.subject_did as author_did,
        spans.did as member_did
    from {{ ref('int_member_record_spans') }} as spans
    inner join clock on spans.began_at > clock.month_from
    where
        spans.collection = 'app.bsky.feed.like'
        and spans.subject_uri like 'at://did:%/app.bsky.feed.post/%'
        and spans.ended_before is null
    union
    select
        items.post_uri,
        items.author_did,
        items.member_did
    from {{ ref('int_feed_items') }} as items
    inner join clock on items.item_at > clock.month_from
    where items.is_repost and items.author_did is not null
)

select
    liked.post_uri,
    liked.author_did,
    count(*) as member_count
from liked
inner join members on liked.member_did = members.did
cross join clock
left join {{ ref('int_membership_spans') }} as in_packs on liked.author_did = in_packs.did
left join {{ ref('int_posts') }} as seen on liked.post_uri = seen.post_uri
where
    in_packs.did is null
    -- Halfway to the night from which they could not be published.
    and coalesce(
        seen.last_observed_at < {{ before('clock.newest_observed_at', var('publish_within_days') / 2) }}, true
    )
group by liked.post_uri, liked.author_did
having count(*) >= 3
