-- Ten more than are shown: some may name somebody who is withheld.
with ordered as (
    select
        report_members.pack_uri,
        posts.period,
        posts.post_uri,
        posts.posted_at,
        row_number() over (
            partition by report_members.pack_uri, posts.period
            order by {{ most_engaging_first('posts') }}
        ) as candidate_number
    from {{ ref('int_period_posts') }} as posts
    inner join {{ ref('int_report_members') }} as report_members on posts.author_did = report_members.did
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
        posts.kind,
        posts.text,
        posts.posted_at,
        posts.primary_language,
        posts.like_count,
        posts.repost_count,
        posts.reply_count,
        posts.quote_count,
        posts.engagement_count,
        growth.engagement_growth,
        growth.like_growth,
        posts.media_count,
        posts.labels
    from candidates
    -- By its time too, so that the engine need not look through all of history for it.
    inner join {{ ref('fct_posts') }} as posts
        on candidates.post_uri = posts.post_uri and candidates.posted_at = posts.posted_at
    inner join {{ ref('rpt_members') }} as members on posts.author_did = members.did
    left join {{ ref('int_post_growth') }} as growth on candidates.post_uri = growth.post_uri
    where
        {{ names_nobody_withheld(['posts.text', as_text('posts.labels')], among='candidates.candidate_number > 0') }}
)

select *
from ranked
where rank_number <= 25
