{#- Reports count from the newest observation, so that the same lake gives the same report on any day. -#}
{{ config(materialized='view') }}

with newest as (
    select max(observed_at) as newest_observed_at
    from {{ ref('int_member_pulls') }}
)

select
    newest_observed_at,
    {{ before('newest_observed_at', 1) }} as day_from,
    {{ before('newest_observed_at', 2) }} as previous_day_from,
    {{ before('newest_observed_at', 7) }} as week_from,
    {{ before('newest_observed_at', 14) }} as previous_week_from,
    {{ before('newest_observed_at', 28) }} as month_from,
    {{ before('newest_observed_at', 60) }} as recent_from
from newest
