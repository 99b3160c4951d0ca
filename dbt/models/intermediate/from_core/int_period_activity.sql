{#- Posts and reposts by people who may be published, once for each period that they are of, or that they precede by no
    more than its length. Narrow: the few posts of which a report shows the text are looked up. -#}
with activity as (
    select
        author_did as did,
        post_uri as item_uri,
        kind,
        posted_at as acted_at,
        primary_language,
        like_count,
        engagement_count
    from {{ ref('int_publishable_posts') }}
    union all
    select
        reposter_did as did,
        repost_uri as item_uri,
        'repost' as kind,
        reposted_at as acted_at,
        null as primary_language,
        null as like_count,
        null as engagement_count
    from {{ ref('int_publishable_reposts') }}
)

select
    periods.period,
    activity.acted_at > periods.period_from as is_in_period,
    activity.did,
    activity.item_uri,
    activity.kind,
    activity.acted_at,
    activity.primary_language,
    activity.like_count,
    activity.engagement_count
from activity
inner join {{ ref('int_periods') }} as periods
    on activity.acted_at > periods.previous_from and activity.acted_at <= periods.period_to
where {{ is_in_any_period('activity.acted_at') }}
