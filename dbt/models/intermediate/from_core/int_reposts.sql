{{ config(materialized='view') }}

select
    reposts.*,
    coalesce(
        reposters.is_member
        and reposters.is_publishable
        and authors.is_publishable
        and deletions.subject_uri is null,
        false
    ) as is_publishable
from {{ ref('fct_reposts') }} as reposts
left join {{ ref('int_publishable_authors') }} as reposters on reposts.reposter_did = reposters.did
left join {{ ref('int_publishable_authors') }} as authors on reposts.post_author_did = authors.did
left join {{ ref('int_deletions') }} as deletions
    on reposts.post_uri = deletions.subject_uri and deletions.subject_type = 'post'
where not reposts.is_gone
