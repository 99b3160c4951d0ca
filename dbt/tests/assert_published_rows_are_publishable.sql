-- Whoever is named in a report may be published, and every post in one is there, as far as is known.
with named as (
    {%- for report, column in [
        ('rpt_members', 'did'),
        ('rpt_newcomers', 'did'),
        ('rpt_quiet_members', 'did'),
        ('rpt_interactions', 'actor_did'),
        ('rpt_interactions', 'subject_did'),
        ('rpt_mutual_follows', 'one_did'),
        ('rpt_mutual_follows', 'other_did'),
        ('rpt_new_follows', 'follower_did'),
        ('rpt_new_follows', 'followed_did'),
        ('rpt_followed_outside', 'did'),
        ('rpt_liked_here', 'author_did'),
        ('rpt_reactors_outside', 'did'),
        ('rpt_reactors_outside', 'top_author_did'),
        ('rpt_post_reach', 'author_did'),
        ('rpt_conversations', 'author_did'),
        ('rpt_groups', 'did'),
        ('rpt_groups', 'group_did'),
        ('rpt_top_posts', 'author_did'),
        ('rpt_latest_posts', 'author_did'),
        ('rpt_member_top_posts', 'author_did'),
        ('rpt_member_weeks', 'did'),
    ] %}
    select {{ column }} as did
    from {{ ref(report) }}
    union
    {%- endfor %}
    select null as did
    where false
),

shown as (
    select post_uri
    from {{ ref('rpt_top_posts') }}
    union
    select post_uri
    from {{ ref('rpt_latest_posts') }}
    union
    select post_uri
    from {{ ref('rpt_post_reach') }}
    union
    select post_uri
    from {{ ref('rpt_conversations') }}
    union
    select post_uri
    from {{ ref('rpt_member_top_posts') }}
)

select named.did as what
from named
left join {{ ref('dim_authors') }} as authors on named.did = authors.did
where not coalesce(authors.is_publishable, false)
union all
select shown.post_uri as what
from shown
left join {{ ref('fct_posts') }} as posts on shown.post_uri = posts.post_uri
where coalesce(posts.is_deleted or posts.is_in_doubt, true)
