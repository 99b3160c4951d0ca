-- How far the posts of a period travelled, of those that were asked about.
with members as (
    select distinct did
    from {{ ref('int_membership_spans') }}
    where is_current
),

people as (
    select
        reactions.post_uri,
        reactions.actor_did,
        max(members.did) is null as is_outside
    from {{ ref('fct_reactions') }} as reactions
    left join members on reactions.actor_did = members.did
    where reactions.is_current and reactions.actor_did != reactions.post_author_did
    group by reactions.post_uri, reactions.actor_did
),

reached as (
    select
        post_uri,
        count(*) as person_count,
        count(case when is_outside then 1 end) as outside_person_count
    from people
    group by post_uri
),

conversations as (
    select
        top_post_uri,
        count(*) as conversation_post_count,
        count(distinct author_did) as conversation_person_count,
        max(answer_depth) as conversation_depth
    from {{ ref('int_conversations') }}
    group by top_post_uri
),

pulls as (
    select
        subject_uri as post_uri,
        observed_at,
        is_whole,
        row_number() over (partition by subject_uri, kind order by observed_at desc) as newest_first
    from {{ ref('stg_bluesky__audience_pulls') }}
    where kind in ('like', 'repost', 'quote', 'reply')
),

asked as (
    select
        post_uri,
        max(observed_at) as asked_at,
        bool_and(is_whole) as is_whole
    from pulls
    where newest_first = 1
    group by post_uri
),

-- Ten more than are shown: some may name somebody who is withheld.
ordered as (
    select
        report_members.pack_uri,
        posts.period,
        posts.post_uri,
        posts.posted_at,
        coalesce(reached.person_count, 0) as person_count,
        coalesce(reached.outside_person_count, 0) as outside_person_count,
        asked.asked_at,
        asked.is_whole,
        row_number() over (
            partition by report_members.pack_uri, posts.period
            order by
                coalesce(reached.person_count, 0) desc,
                posts.engagement_count desc nulls last,
                posts.post_uri asc
        ) as candidate_number
    from {{ ref('int_period_posts') }} as posts
    inner join {{ ref('int_report_members') }} as report_members on posts.author_did = report_members.did
    inner join asked on posts.post_uri = asked.post_uri
    left join reached on posts.post_uri = reached.post_uri
    where posts.is_in_period
),

candidates as (
    select *
    from ordered
    where candidate_number <= 35
),

ranked as (
    select
        candidates.pack_uri,
        candidates.period,
        row_number() over (
            partition by candidates.pack_uri, candidates.period
            order by candidates.candidate_number
        ) as rank_number,
        posts.post_uri,
        posts.post_url,
        posts.author_did,
        members.handle as author_handle,
        members.display_name as author_display_name,
        posts.text,
        posts.posted_at,
        posts.like_count,
        posts.repost_count,
        posts.quote_count,
        posts.reply_count,
        candidates.person_count,
        candidates.outside_person_count,
        case
            when candidates.person_count > 0 then candidates.outside_person_count / candidates.person_count
        end as outside_person_share,
        coalesce(conversations.conversation_post_count, 0) as conversation_post_count,
        coalesce(conversations.conversation_person_count, 0) as conversation_person_count,
        coalesce(conversations.conversation_depth, 0) as conversation_depth,
        candidates.is_whole,
        candidates.asked_at,
        posts.labels
    from candidates
    -- By its time too, so that the engine need not look through all of history for it.
    inner join {{ ref('fct_posts') }} as posts
        on candidates.post_uri = posts.post_uri and candidates.posted_at = posts.posted_at
    inner join {{ ref('rpt_members') }} as members on posts.author_did = members.did
    left join conversations on posts.post_uri = conversations.top_post_uri
    where
        {{ names_nobody_withheld(['posts.text', as_text('posts.labels')], among='candidates.candidate_number > 0') }}
)

select *
from ranked
where rank_number <= 25
