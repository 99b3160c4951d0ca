-- Five more than are shown: some may name somebody who is withheld.
with ordered as (
    select
        post_uri,
        posted_at,
        row_number() over (
            partition by author_did
            order by {{ most_engaging_first('posts') }}
        ) as candidate_number
    from {{ ref('int_period_posts') }} as posts
    where period = 'year' and is_in_period
),

candidates as (
    select *
    from ordered
    where candidate_number <= 10
),

ranked as (
    select
        posts.author_did,
        row_number() over (partition by posts.author_did order by candidates.candidate_number) as rank_number,
        members.handle as author_handle,
        posts.post_uri,
        posts.post_url,
        posts.kind,
        posts.text,
        posts.posted_at,
        posts.like_count,
        posts.repost_count,
        posts.reply_count,
        posts.quote_count,
        posts.engagement_count,
        growth.engagement_growth,
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
where rank_number <= 5
