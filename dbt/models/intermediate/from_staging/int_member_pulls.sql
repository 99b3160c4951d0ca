{{ config(materialized='table') }}

{#- A pull covers a span only if all of its load arrived: rows that are missing look like posts that are gone. -#}
with pulls as (
    select * from {{ ref('stg_bluesky__feed_pulls') }}
),

complete_loads as (
    select * from {{ ref('int_complete_loads') }}
)

select
    pulls.member_did,
    pulls.observed_at,
    pulls.outcome,
    pulls.error,
    pulls.page_count,
    pulls.item_count,
    pulls.new_item_count,
    pulls.load_id,
    complete_loads.load_id is not null as is_load_complete,
    pulls.outcome = 'ok' and pulls.covered_to is not null and complete_loads.load_id is not null as is_coverage,
    case
        when pulls.outcome = 'ok' and complete_loads.load_id is not null then pulls.covered_from
    end as covered_from,
    case
        when pulls.outcome = 'ok' and complete_loads.load_id is not null then pulls.covered_to
    end as covered_to,
    pulls.outcome = 'ok'
    and pulls.covered_to is not null
    and complete_loads.load_id is not null
    and pulls.reached_end
        as reached_end
from pulls
left join complete_loads on pulls.load_id = complete_loads.load_id
