-- A post belongs to who wrote it: nobody's repost of it makes it theirs.
select
    reposts.repost_uri,
    posts.post_uri
from {{ ref('fct_reposts') }} as reposts
inner join {{ ref('fct_posts') }} as posts
    on
        reposts.repost_uri = posts.post_uri
        or (reposts.post_uri = posts.post_uri and reposts.post_author_did != posts.author_did)
