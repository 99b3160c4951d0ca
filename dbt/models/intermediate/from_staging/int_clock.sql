{#- What "now" is: the newest moment that was looked at. Reports are relative to it, never to the clock on the wall, so
    that a lake that nobody feeds any more, and the sample, stay as they are. -#}
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
