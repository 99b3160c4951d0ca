{#- Records that may be gone, as far as is known: they are neither called deleted nor published. What the newest answer
    of those who know calls gone is in no doubt while it is asked for again. -#}
with doubted as (
    select uri
    from {{ ref('int_open_questions') }}
    union
    select missed.uri
    from {{ ref('int_missed_records') }} as missed
    inner join {{ ref('int_record_answers') }} as answers on missed.uri = answers.uri
    where answers.outcome in ('account_unavailable', 'unknown') and answers.answered_at >= missed.last_seen_at
)

select doubted.uri
from doubted
left join {{ ref('int_deletions') }} as deletions on doubted.uri = deletions.subject_uri
where deletions.subject_uri is null
