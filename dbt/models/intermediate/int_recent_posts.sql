{#- What most reports look at, found once: publishable posts of the last sixty days. -#}
select posts.*
from {{ ref('int_publishable_posts') }} as posts
inner join {{ ref('int_clock') }} as clock on posts.posted_at > clock.recent_from
