{#- A table of its own, as those who read reposts would else look for these few posts among all of history. -#}
select
    missed.uri,
    posts.post_uri is not null as is_of_own_post
from {{ ref('int_missed_records') }} as missed
left join {{ ref('int_posts') }} as posts on missed.post_uri = posts.post_uri and posts.is_in_own_feed
where missed.collection = 'app.bsky.feed.repost'
