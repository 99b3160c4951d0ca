{#- One row for each load: what came in, and how the members' feeds could be read. -#}
select
    load_id,
    started_at,
    is_complete,
    first_observed_at,
    last_observed_at,
    ok_count,
    unavailable_count,
    failed_count,
    author_feed_rows
from {{ ref('fct_loads') }}
