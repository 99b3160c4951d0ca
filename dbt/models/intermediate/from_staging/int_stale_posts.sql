{#- Posts of people in no pack that nobody has looked at lately: nobody asks whether they are still there, as is done
    for members' posts, so that their words are not published. -#}
{{ config(materialized='view') }}

select posts.post_uri
from {{ ref('int_posts') }} as posts
inner join {{ ref('int_clock') }} as clock
    on posts.last_observed_at < {{ before('clock.newest_observed_at', var('publish_within_days')) }}
left join {{ ref('int_membership_spans') }} as members on posts.author_did = members.did
where members.did is null
