-- Posts of people in no pack that three or more members of a pack liked in the last four weeks. Only such as a feed has
-- shown lately, since a member reposted them: of others neither words nor wishes of their authors are known.
with clock as (
    select * from {{ ref('int_clock') }}
),

strangers as (
    select
        did,
        handle,
        display_name
    from {{ ref('dim_authors') }}
    where is_publishable and not is_member
),

likes as (
    select
        post_uri,
        liker_did,
        min(liked_at) as liked_at
    from {{ ref('fct_likes_given') }}
    where is_current and not is_of_member
    group by post_uri, liker_did
),

counted as (
    select
        likers.pack_uri,
        likes.post_uri,
        count(*) as liker_count,
        max(likes.liked_at) as last_liked_at
    from likes
    inner join clock on likes.liked_at > clock.month_from
    inner join {{ ref('int_report_members') }} as likers on likes.liker_did = likers.did
    group by likers.pack_uri, likes.post_uri
    having count(*) >= 3
)

select
    counted.pack_uri,
    row_number() over (
        partition by counted.pack_uri
        order by counted.liker_count desc, counted.last_liked_at desc, counted.post_uri asc
    ) as rank_number,
    counted.post_uri,
    posts.author_did,
    strangers.handle as author_handle,
    case when {{ names_nobody_withheld(['strangers.display_name']) }} then strangers.display_name end
        as author_display_name,
    posts.text,
    posts.posted_at,
    counted.liker_count,
    counted.last_liked_at,
    posts.like_count,
    posts.repost_count,
    posts.reply_count,
    posts.quote_count,
    posts.labels,
    posts.last_observed_at
from counted
inner join {{ ref('int_posts') }} as posts on counted.post_uri = posts.post_uri
inner join clock
    on posts.last_observed_at >= {{ before('clock.newest_observed_at', var('publish_within_days')) }}
inner join strangers on posts.author_did = strangers.did
left join {{ ref('int_deletions') }} as deletions
    on counted.post_uri = deletions.subject_uri and deletions.subject_type = 'post'
left join {{ ref('int_records_in_doubt') }} as in_doubt on counted.post_uri = in_doubt.uri
where
    deletions.subject_uri is null
    and in_doubt.uri is null
    and {{ names_nobody_withheld(['posts.text', 'cast(posts.labels as varchar)']) }}
qualify rank_number <= 50
