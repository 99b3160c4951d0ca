{#- What stands below the posts that were asked about in the last four weeks, as trees. A post answers one other, so
    that a walk down from a post ends, unless the post is an answer to one below itself. Anybody may answer themself for
    ever: what is deeper than 100 is left out, and costs no memory. -#}
{%- set tops -%}
    select distinct pulls.subject_uri as top_post_uri
    from {{ ref('stg_bluesky__audience_pulls') }} as pulls
    inner join {{ ref('int_clock') }} as clock on pulls.observed_at > clock.month_from
    where pulls.kind = 'reply'
{%- endset -%}
{%- set replies -%}
    select
        reaction_uri as post_uri,
        post_uri as parent_uri,
        actor_did as author_did,
        lpad({{ as_text('row_number() over (order by reacted_at nulls last, reaction_uri)') }}, 12, '0') as place
    from {{ ref('fct_reactions') }}
    where kind = 'reply' and is_current
{%- endset -%}
with trees as (
    {{ answers_below(tops, replies, deepest=100) }}
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
