with clock as (
    select * from {{ ref('int_clock') }}
),

summaries as (
    select * from {{ ref('int_member_summaries') }}
),

packs as (
    select
        did,
        {{ sorted_list('pack_uri') }} as pack_uris
    from {{ ref('int_report_members') }}
    where pack_uri != 'all'
    group by did
),

followers_a_week_ago as (
    select
        profiles.did,
        {{ newest_known('profiles.followers_count', 'profiles.observed_at') }} as followers_count
    from {{ ref('stg_bluesky__profiles') }} as profiles
    inner join clock on profiles.observed_at <= {{ before('clock.newest_observed_at', 6.5) }}
    group by profiles.did
),

publishable as (
    select
        summaries.did,
        authors.links
    from summaries
    inner join {{ ref('dim_authors') }} as authors on summaries.did = authors.did
),

-- Links are input of other people, and may lead anywhere: what a labeler warns of is not passed on.
links as (
    select
        exploded.did,
        {{ list_of_structs({'url': 'exploded.link.url', 'title': 'exploded.link.title'}, 'exploded.position') }}
            as links
    from {{ explode('publishable', ['did'], 'links', element='link') }} as exploded
    where
        exploded.link.url like 'https://%'
        and {{ element_count('exploded.link.labels') }} = 0
        and {{ names_nobody_withheld(['exploded.link.url', 'exploded.link.title']) }}
    group by exploded.did
),

scored as (
    select
        *,
        percent_rank() over (order by posts_last_month) as activity_percentile,
        percent_rank() over (order by engagement_last_month) as engagement_percentile,
        percent_rank() over (order by coalesce(median_engagement_last_month, 0)) as typical_post_percentile
    from summaries
)

select
    scored.did,
    authors.handle,
    {%- for words in ['display_name', 'description'] %}
    case when {{ names_nobody_withheld(['authors.' ~ words]) }} then authors.{{ words }} end as {{ words }},
    {%- endfor %}
    authors.avatar_url,
    links.links,
    authors.profile_url,
    authors.is_bot,
    packs.pack_uris,
    authors.first_member_at,
    authors.account_created_at,
    authors.followers_count,
    authors.follows_count,
    authors.followers_count - followers_a_week_ago.followers_count as followers_change_week,
    scored.post_count,
    scored.repost_count,
    scored.posts_last_week,
    scored.posts_previous_week,
    scored.posts_last_month,
    scored.reposts_last_month,
    scored.posts_last_month / 28e0 as posts_per_day,
    scored.engagement_count,
    scored.engagement_last_month,
    scored.median_engagement_last_month,
    scored.ninth_decile_engagement_last_month,
    scored.activity_percentile,
    scored.engagement_percentile,
    scored.typical_post_percentile,
    -- A third each: how much they post, how much comes back, and how much comes back on a usual post.
    round(100 * (scored.activity_percentile + scored.engagement_percentile + scored.typical_post_percentile) / 3)
        as score,
    scored.last_active_at
from scored
inner join {{ ref('dim_authors') }} as authors on scored.did = authors.did
left join links on scored.did = links.did
left join packs on scored.did = packs.did
left join followers_a_week_ago on scored.did = followers_a_week_ago.did
