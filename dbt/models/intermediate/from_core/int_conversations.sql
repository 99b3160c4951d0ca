{#- What stands below the posts that were asked about in the last four weeks, as trees. A post answers one other, so
    that a walk down from a post ends, unless the post is an answer to one below itself. -#}
with recursive clock as (
    select * from {{ ref('int_clock') }}
),

tops as (
    select distinct pulls.subject_uri as top_post_uri
    from {{ ref('stg_bluesky__audience_pulls') }} as pulls
    inner join clock on pulls.observed_at > clock.month_from
    where pulls.kind = 'reply'
),

replies as (
    select
        reaction_uri as post_uri,
        post_uri as parent_uri,
        actor_did as author_did,
        lpad(cast(row_number() over (order by reacted_at, reaction_uri) as varchar), 12, '0') as place
    from {{ ref('fct_reactions') }}
    where kind = 'reply' and is_current
),

trees as (
    select
        tops.top_post_uri,
        replies.post_uri,
        replies.parent_uri,
        replies.author_did,
        1 as answer_depth,
        replies.place as trail
    from tops
    inner join replies on tops.top_post_uri = replies.parent_uri
    union all
    select
        trees.top_post_uri,
        replies.post_uri,
        replies.parent_uri,
        replies.author_did,
        trees.answer_depth + 1 as answer_depth,
        trees.trail || '/' || replies.place as trail
    from trees
    inner join replies on trees.post_uri = replies.parent_uri
    -- Anybody may answer themself for ever: what is deeper is left out, and costs no memory.
    where replies.post_uri != trees.top_post_uri and trees.answer_depth < 100
)

select
    top_post_uri,
    post_uri,
    parent_uri,
    author_did,
    answer_depth,
    -- Each answer stands behind what it answers and the answers to earlier answers to that.
    row_number() over (partition by top_post_uri order by trail) as order_number
from trees
