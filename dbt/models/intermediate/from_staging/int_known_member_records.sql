{#- What the lake knows of members' follows, likes and other such records, to hold a repository against. A view: only an
    audit reads it. -#}
{{ config(materialized='view') }}

select
    uri,
    did,
    collection,
    cid,
    not is_there as is_gone
from {{ ref('int_member_record_facts') }}
-- If one commit both writes and deletes a record, the deletion stands.
qualify row_number() over (partition by uri order by rev desc, is_there asc, known_at desc) = 1
