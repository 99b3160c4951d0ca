select
    period,
    days,
    bin_hours,
    bin_count,
    previous_from,
    period_from,
    period_to
from {{ ref('int_periods') }}
