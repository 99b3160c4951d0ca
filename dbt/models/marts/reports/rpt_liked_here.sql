-- Posts of people in no pack that three or more members of a pack liked or reposted in the last four weeks. Only such
-- as were seen lately: whether others are still there is not known.
with clock as (
    select * from {{ ref('int_clock') }}
),

strangers as (
    select
        did,
        handle,
        display_name
    from {{ ref('dim_authors') }}
    -- Whoever was forgotten has no handle: their posts are one in the lake, which nobody wrote.
    where is_publishable and not is_member and handle is not null
),

members as (
    select distinct did
    from {{ ref('int_membership_spans') }}
    where is_current
),

reactions as (
    select
        post_uri,
        'like' as kind,
        liker_did as member_did,
        liked_at as reacted_at
    from {{ ref('fct_likes_given') }}
    where is_current and not is_of_member and liked_at > (select clock.month_from from clock)
    union all
    select
        reposts.post_uri,
        'repost' as kind,
        reposts.reposter_did as member_did,
        reposts.reposted_at as reacted_at
    from {{ ref('int_publishable_reposts') }} as reposts
    left join members on reposts.post_author_did = members.did
    where members.did is null and reposts.reposted_at > (select clock.month_from from clock)
),

counted as (
    select
        people.pack_uri,
        reactions.post_uri,
        count(distinct reactions.member_did) as member_count,
        count(distinct case when reactions.kind = 'like' then reactions.member_did end) as liker_count,
        count(distinct case when reactions.kind = 'repost' then reactions.member_did end) as reposter_count,
        max(reactions.reacted_at) as last_liked_at
    from reactions
    inner join {{ ref('int_report_members') }} as people on reactions.member_did = people.did
    group by people.pack_uri, reactions.post_uri
    having count(distinct reactions.member_did) >= 3
),

ranked as (
    select
        counted.pack_uri,
        row_number() over (
            partition by counted.pack_uri
            order by counted.member_count desc, counted.last_liked_at desc, counted.post_uri asc
        ) as rank_number,
        counted.post_uri,
        posts.author_did,
        strangers.handle as author_handle,
        case when {{ names_nobody_withheld(['strangers.display_name']) }} then strangers.display_name end
            as author_display_name,
        posts.text,
        posts.posted_at,
        counted.member_count,
        counted.liker_count,
        counted.reposter_count,
        counted.last_liked_at,
        posts.like_count,
        posts.repost_count,
        posts.reply_count,
        posts.quote_count,
        posts.labels,
        posts.last_observed_at
    from counted
    inner join {{ ref('int_posts') }} as posts on counted.post_uri = posts.post_uri
    inner join strangers on posts.author_did = strangers.did
    left join {{ ref('int_deletions') }} as deletions
        on counted.post_uri = deletions.subject_uri and deletions.subject_type = 'post'
    left join {{ ref('int_records_in_doubt') }} as in_doubt on counted.post_uri = in_doubt.uri
    where
        deletions.subject_uri is null
        and in_doubt.uri is null
        -- What nobody has looked at lately is stale (int_stale_posts): asked here by its time, which leaves out most of
        -- history at once.
        and posts.last_observed_at
        >= (select {{ before('clock.newest_observed_at', var('publish_within_days')) }} from clock)
        and {{ names_nobody_withheld(['posts.text', as_text('posts.labels')], among='counted.member_count >= 3') }}
)

select *
from ranked
where rank_number <= 50
