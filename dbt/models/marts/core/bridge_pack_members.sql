select
    pack_uri,
    did,
    member_from,
    member_to,
    not_member_at,
    last_observed_at,
    is_listed,
    hidden_because,
    is_current
from {{ ref('int_membership_spans') }}
