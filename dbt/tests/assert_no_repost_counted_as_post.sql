-- A post belongs to its author, whoever reposts it. There are two joins, each by a key: a join with an `or` would
-- compare every repost with every post.
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
