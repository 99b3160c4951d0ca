{#- Whose likes, reposts, quotes and replies to ask for: of the posts of the week by members who may be published, those
    with news first, then those with most engagement. There is news where the service counts another number than when it
    was last asked, or nobody has had an answer. -#}
with clock as (
    select * from {{ ref('int_clock') }}
),

members as (
    select did
    from {{ ref('int_report_members') }}
    where pack_uri = 'all'
),

posts as (
    select posts.*
    from {{ ref('int_posts') }} as posts
    inner join members on posts.author_did = members.did
    inner join clock on posts.posted_at > clock.week_from
    left join {{ ref('int_deletions') }} as deletions
        on posts.post_uri = deletions.subject_uri and deletions.subject_type = 'post'
    left join {{ ref('int_records_in_doubt') }} as in_doubt on posts.post_uri = in_doubt.uri
    where posts.is_in_own_feed and deletions.subject_uri is null and in_doubt.uri is null
),

counts as (
    {%- for kind in ['like', 'repost', 'quote', 'reply'] %}
    select
        post_uri,
        '{{ kind }}' as kind,
        {{ kind }}_count as known_count,
        engagement_count
    from posts
    where {{ kind }}_count > 0
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

answers as (
    select
        subject_uri,
        kind,
        known_count,
        row_number() over (partition by subject_uri, kind order by observed_at desc) as newest_first
    from {{ ref('stg_bluesky__audience_pulls') }}
    where error is null
),

last_asked as (
    select
        subject_uri,
        kind,
        known_count
    from answers
    where newest_first = 1
)

select
    counts.post_uri,
    counts.kind,
    counts.known_count,
    (counts.known_count is distinct from last_asked.known_count) as has_news,
    row_number() over (
        order by
            case when (counts.known_count is distinct from last_asked.known_count) then 0 else 1 end,
            counts.engagement_count desc,
            counts.post_uri asc,
            counts.kind asc
    ) as rank_number
from counts
left join last_asked on counts.post_uri = last_asked.subject_uri and counts.kind = last_asked.kind
