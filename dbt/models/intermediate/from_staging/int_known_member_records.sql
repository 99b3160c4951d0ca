{#- What the lake knows of members' follows, likes and other such records, to hold a repository against. A view: only an
    audit reads it. -#}
{{ config(materialized='view') }}

with facts as (
    select
        uri,
        did,
        collection,
        cid,
        not is_there as is_gone,
        -- If one commit both writes and deletes a record, the deletion stands.
        row_number() over (
            partition by uri
            order by rev desc, is_there asc, known_at desc, known_because desc
        ) as newest_first
    from {{ ref('int_member_record_facts') }}
)

select
    uri,
    did,
    collection,
    cid,
    is_gone
from facts
where newest_first = 1
