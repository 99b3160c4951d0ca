{{ config(materialized='view') }}

{#- Reposts that are there, by members who may be published, of posts by people who may be. -#}
select reposts.*
from {{ ref('fct_reposts') }} as reposts
inner join {{ ref('int_publishable_authors') }} as reposters on reposts.reposter_did = reposters.did
inner join {{ ref('int_publishable_authors') }} as authors on reposts.post_author_did = authors.did
left join {{ ref('int_deletions') }} as deletions
    on reposts.post_uri = deletions.subject_uri and deletions.subject_type = 'post'
where
    reposters.is_member
    and reposters.is_publishable
    and authors.is_publishable
    and not reposts.is_gone
    and deletions.subject_uri is null
