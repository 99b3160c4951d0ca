with clock as (
    select * from {{ ref('int_clock') }}
),

periods as (
    select
        'week' as period,
        week_from as period_from,
        newest_observed_at as period_to
    from clock
    union all
    select
        'previous_week' as period,
        previous_week_from as period_from,
        week_from as period_to
    from clock
    union all
    select
        'month' as period,
        month_from as period_from,
        newest_observed_at as period_to
    from clock
),

media as (
    select
        media.kind,
        media.has_alt_text,
        posts.author_did,
        posts.posted_at
    from {{ ref('fct_media') }} as media
    inner join {{ ref('int_recent_posts') }} as posts on media.post_uri = posts.post_uri
)

select
    report_members.pack_uri,
    periods.period,
    media.kind,
    count(*) as media_count,
    cast(sum(case when media.has_alt_text then 1 else 0 end) as bigint) as with_alt_text_count,
    avg(case when media.has_alt_text then 1.0 else 0.0 end) as alt_text_share
from media
inner join periods on media.posted_at > periods.period_from and media.posted_at <= periods.period_to
inner join {{ ref('int_report_members') }} as report_members on media.author_did = report_members.did
group by report_members.pack_uri, periods.period, media.kind
