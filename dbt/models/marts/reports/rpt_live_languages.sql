{#- Posts by language and hour, as the live job heard them: members' posts, or everybody's where it follows all. -#}
with created as (
    select
        event_at,
        did,
        lower({{ regexp_first(first_element('langs'), '^([A-Za-z]{2,3})') }}) as primary_language
    from {{ ref('stg_bluesky__repo_events') }}
    where kind = 'commit' and collection = 'app.bsky.feed.post' and operation = 'create'
)

select
    {{ utc_date('event_at') }} as date_day,
    {{ utc_hour('event_at') }} as hour_of_day,
    coalesce(primary_language, 'unknown') as primary_language,
    count(*) as post_count,
    count(distinct did) as author_count
from created
group by {{ utc_date('event_at') }}, {{ utc_hour('event_at') }}, coalesce(primary_language, 'unknown')
