{{ config(materialized='view') }}

{#- A repost of which the post is gone is a living record, and yet nobody sees it. Where the feed has ceased to show a
    repost, its post is gone, hidden or edited, unless it is a member's, of which more is known. That a member reposted
    is theirs, and names nobody else: it counts, too, where nobody has looked at the post's author lately. -#}
select
    reposts.*,
    coalesce(
        reposters.is_member
        and reposters.is_publishable
        and not authors.is_name_withheld
        and not reposts.is_in_doubt
        and deletions.subject_uri is null
        and in_doubt.uri is null
        and coalesce(missed.is_of_own_post, true),
        false
    ) as is_publishable
from {{ ref('fct_reposts') }} as reposts
left join {{ ref('int_publishable_authors') }} as reposters on reposts.reposter_did = reposters.did
left join {{ ref('int_publishable_authors') }} as authors on reposts.post_author_did = authors.did
left join {{ ref('int_deletions') }} as deletions
    on reposts.post_uri = deletions.subject_uri and deletions.subject_type = 'post'
left join {{ ref('int_records_in_doubt') }} as in_doubt on reposts.post_uri = in_doubt.uri
left join {{ ref('int_missed_reposts') }} as missed on reposts.repost_uri = missed.uri
where not reposts.is_gone
