-- At any time a person is in a pack once at most, and has one handle at most.
with spans as (
    select
        did || ' in ' || pack_uri as what,
        member_from as span_from,
        member_to as span_to
    from {{ ref('bridge_pack_members') }}
    union all
    select
        did || ' as somebody' as what,
        handle_from as span_from,
        handle_to as span_to
    from {{ ref('int_handle_spans') }}
),

followed as (
    select
        *,
        lead(span_from) over (partition by what order by span_from) as next_from
    from spans
)

select
    what,
    span_from,
    span_to
from followed
where
    coalesce(span_to <= span_from, false)
    or coalesce(next_from < span_to, false)
    or (span_to is null and next_from is not null)
