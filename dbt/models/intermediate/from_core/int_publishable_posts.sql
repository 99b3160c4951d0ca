{{ config(materialized='view') }}

select posts.*
from {{ ref('fct_posts') }} as posts
inner join {{ ref('int_publishable_authors') }} as authors on posts.author_did = authors.did
where authors.is_member and authors.is_publishable and not posts.is_deleted and not posts.is_in_doubt
