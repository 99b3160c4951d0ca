{#- When a feed last showed what an event or an answer may call gone. A post shows in the feed of whoever reposted it,
    too: int_posts knows when any feed last showed it, an item may have become a repost of another post. -#}
with spoken_of as (
    select
        uri,
        collection
    from {{ ref('int_record_states') }}
    where is_deleted and collection in ('app.bsky.feed.post', 'app.bsky.feed.repost')
    union
    select
        uri,
        collection
    from {{ ref('int_record_answers') }}
),

sightings as (
    select
        posts.post_uri as uri,
        posts.last_observed_at
    from {{ ref('int_posts') }} as posts
    where
        posts.post_sort_key in (
            select {{ uri_sort_key('spoken_of.uri') }} from spoken_of
            where spoken_of.collection = 'app.bsky.feed.post'
        )
    union all
    select
        items.item_uri as uri,
        items.last_observed_at
    from {{ ref('int_feed_items') }} as items
    inner join spoken_of on items.item_uri = spoken_of.uri
    where spoken_of.collection = 'app.bsky.feed.repost'
)

select
    uri,
    max(last_observed_at) as last_shown_at
from sightings
-- By the URI, too: a number may be another post's.
where uri in (select spoken_of.uri from spoken_of)
group by uri
