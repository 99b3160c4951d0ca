select did
from {{ ref('int_opt_outs') }}
where is_current
except
select did
from {{ ref('int_membership_spans') }}
where is_current and is_listed
