{#- Most reports read these posts, so they are found once. Texts are left out: a report that shows some joins them. -#}
select
    posts.post_uri,
    posts.author_did,
    posts.posted_at,
    posts.posted_date,
    posts.kind,
    posts.primary_language,
    posts.like_count,
    posts.engagement_count,
    posts.first_observed_at,
    posts.last_observed_at
from {{ ref('int_publishable_posts') }} as posts
inner join {{ ref('int_clock') }} as clock on posts.posted_at > clock.recent_from
