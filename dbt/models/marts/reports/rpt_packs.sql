with clock as (
    select * from {{ ref('int_clock') }}
),

report_members as (
    select * from {{ ref('int_report_members') }}
),

current_members as (
    select count(distinct did) as member_count
    from {{ ref('int_membership_spans') }}
    where is_current
),

packs as (
    select
        pack_uri,
        seed_type,
        pack_name,
        description,
        creator_handle,
        list_item_count,
        member_count,
        joined_week_count,
        joined_all_time_count
    from {{ ref('dim_starter_packs') }}
    union all
    select
        'all' as pack_uri,
        'all' as seed_type,
        'All packs' as pack_name,
        null as description,
        null as creator_handle,
        null as list_item_count,
        current_members.member_count,
        null as joined_week_count,
        null as joined_all_time_count
    from current_members
),

published as (
    select
        pack_uri,
        count(*) as published_member_count
    from report_members
    group by pack_uri
),

recent as (
    select
        activity.*,
        activity.acted_at > clock.day_from as is_last_day,
        activity.acted_at <= clock.day_from and activity.acted_at > clock.previous_day_from as is_previous_day,
        activity.acted_at > clock.week_from as is_last_week,
        activity.acted_at <= clock.week_from as is_previous_week,
        activity.kind != 'repost' as is_post
    from {{ ref('int_recent_activity') }} as activity
    inner join clock on activity.acted_at > clock.previous_week_from
),

counts as (
    select
        report_members.pack_uri,
        sum(case when recent.is_post and recent.is_last_day then 1 else 0 end) as posts_last_day,
        sum(case when recent.is_post and recent.is_previous_day then 1 else 0 end) as posts_previous_day,
        sum(case when recent.is_post and recent.is_last_week then 1 else 0 end) as posts_last_week,
        sum(case when recent.is_post and recent.is_previous_week then 1 else 0 end) as posts_previous_week,
        sum(case when not recent.is_post and recent.is_last_day then 1 else 0 end) as reposts_last_day,
        sum(case when not recent.is_post and recent.is_previous_day then 1 else 0 end) as reposts_previous_day,
        sum(case when not recent.is_post and recent.is_last_week then 1 else 0 end) as reposts_last_week,
        sum(case when not recent.is_post and recent.is_previous_week then 1 else 0 end) as reposts_previous_week,
        count(distinct case when recent.is_last_day then recent.did end) as active_members_last_day,
        count(distinct case when recent.is_previous_day then recent.did end) as active_members_previous_day,
        count(distinct case when recent.is_last_week then recent.did end) as active_members_last_week,
        count(distinct case when recent.is_previous_week then recent.did end) as active_members_previous_week,
        sum(case when recent.is_last_day then recent.engagement_count end) as engagement_last_day,
        sum(case when recent.is_previous_day then recent.engagement_count end) as engagement_previous_day,
        sum(case when recent.is_last_week then recent.engagement_count end) as engagement_last_week,
        sum(case when recent.is_previous_week then recent.engagement_count end) as engagement_previous_week
    from recent
    inner join report_members on recent.did = report_members.did
    group by report_members.pack_uri
)

select
    packs.pack_uri,
    packs.seed_type,
    packs.pack_name,
    packs.description,
    packs.creator_handle,
    packs.list_item_count,
    packs.member_count,
    coalesce(published.published_member_count, 0) as published_member_count,
    packs.joined_week_count,
    packs.joined_all_time_count,
    {%- for what in ['posts', 'reposts', 'active_members', 'engagement'] %}
    {%- for period in ['last_day', 'previous_day', 'last_week', 'previous_week'] %}
    cast(coalesce(counts.{{ what }}_{{ period }}, 0) as bigint) as {{ what }}_{{ period }},
    {%- endfor %}
    {%- endfor %}
    clock.newest_observed_at
from packs
cross join clock
left join published on packs.pack_uri = published.pack_uri
left join counts on packs.pack_uri = counts.pack_uri
