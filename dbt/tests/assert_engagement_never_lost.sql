-- Every post that a pull saw in its author's feed has a history, from its first observation to its last. A post that
-- only the live job heard has none yet; nor has one of which no row has a time, which somebody else's file brought.
with engagement as (
    select
        post_uri,
        min(observed_at) as first_observed_at,
        max(observed_at) as last_observed_at
    from {{ ref('fct_post_engagement') }}
    group by post_uri
)

select posts.post_uri
from {{ ref('fct_posts') }} as posts
left join engagement on posts.post_uri = engagement.post_uri
left join {{ ref('int_live_posts') }} as heard on posts.post_uri = heard.post_uri
where
    posts.last_observed_at is not null
    and (heard.post_uri is null or heard.is_pulled)
    and (
        engagement.post_uri is null
        or engagement.first_observed_at != posts.first_observed_at
        or engagement.last_observed_at != posts.last_observed_at
    )
