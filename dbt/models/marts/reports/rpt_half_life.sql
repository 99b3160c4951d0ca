with half_lives as (
    select
        posts.author_did,
        posts.kind,
        half_lives.half_life_hours
    from {{ ref('int_post_half_lives') }} as half_lives
    inner join {{ ref('int_recent_posts') }} as posts on half_lives.post_uri = posts.post_uri
),

by_kind as (
    select
        author_did,
        kind,
        half_life_hours
    from half_lives
    union all
    select
        author_did,
        'all' as kind,
        half_life_hours
    from half_lives
)

select
    report_members.pack_uri,
    by_kind.kind,
    count(*) as post_count,
    median(by_kind.half_life_hours) as median_half_life_hours,
    {{ quantile('by_kind.half_life_hours', 0.25) }} as quarter_half_life_hours,
    {{ quantile('by_kind.half_life_hours', 0.75) }} as three_quarters_half_life_hours
from by_kind
inner join {{ ref('int_report_members') }} as report_members on by_kind.author_did = report_members.did
group by report_members.pack_uri, by_kind.kind
