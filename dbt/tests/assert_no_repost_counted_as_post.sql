-- A post belongs to who wrote it: nobody's repost of it makes it theirs. Two joins, each by a key: one with an `or`
-- would compare every repost with every post.
select
    reposts.repost_uri,
    posts.post_uri
from {{ ref('fct_reposts') }} as reposts
inner join {{ ref('fct_posts') }} as posts on reposts.repost_uri = posts.post_uri
union all
select
    reposts.repost_uri,
    posts.post_uri
from {{ ref('fct_reposts') }} as reposts
inner join {{ ref('fct_posts') }} as posts
    on reposts.post_uri = posts.post_uri and reposts.post_author_did != posts.author_did
