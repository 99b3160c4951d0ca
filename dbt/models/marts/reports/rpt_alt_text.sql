with counted as (
    select
        report_members.pack_uri,
        posts.period,
        media.kind,
        count(case when posts.is_in_period then 1 end) as media_count,
        count(case when posts.is_in_period and media.has_alt_text then 1 end) as with_alt_text_count,
        count(case when not posts.is_in_period then 1 end) as previous_media_count,
        count(case when not posts.is_in_period and media.has_alt_text then 1 end) as previous_with_alt_text_count
    from {{ contents_of_periods(ref('fct_media')) }} as media
    inner join {{ ref('int_period_posts') }} as posts on media.post_uri = posts.post_uri
    inner join {{ ref('int_report_members') }} as report_members on posts.author_did = report_members.did
    group by report_members.pack_uri, posts.period, media.kind
)

select
    pack_uri,
    period,
    kind,
    media_count,
    with_alt_text_count,
    case when media_count > 0 then cast(with_alt_text_count as double) / media_count end as alt_text_share,
    previous_media_count,
    previous_with_alt_text_count
from counted
