{#- One row: can what the reports say be relied on? Names nobody. -#}
with clock as (
    select * from {{ ref('int_clock') }}
),

loads as (
    select
        max(case when is_complete then started_at end) as last_load_at,
        sum(case when is_complete then 1 else 0 end) as complete_load_count,
        sum(case when is_complete then 0 else 1 end) as incomplete_load_count
    from {{ ref('fct_loads') }}
),

coverage as (
    select
        count(*) as pulled_member_count,
        sum(case when last_outcome = 'ok' then 1 else 0 end) as ok_member_count,
        sum(case when last_outcome = 'failed' then 1 else 0 end) as failed_member_count,
        sum(case when last_outcome not in ('ok', 'failed') then 1 else 0 end) as unavailable_member_count,
        sum(case when is_covered_from_the_beginning then 1 else 0 end) as wholly_covered_member_count,
        sum(gap_count) as gap_count
    from {{ ref('fct_pull_coverage') }}
),

authors as (
    select
        sum(case when is_current_member and is_publishable then 1 else 0 end) as published_member_count,
        sum(case when withheld_because = 'asks_to_be_hidden' then 1 else 0 end) as hidden_member_count,
        sum(case when withheld_because = 'left_out_by_setting' then 1 else 0 end) as left_out_member_count
    from {{ ref('dim_authors') }}
    where is_current_member
),

posts as (
    select
        count(*) as post_count,
        sum(case when is_deleted then 1 else 0 end) as deleted_post_count,
        sum(case when has_issues then 1 else 0 end) as posts_with_issues_count
    from {{ ref('fct_posts') }}
),

observations as (
    select count(*) as observation_count
    from {{ ref('fct_post_engagement') }}
)

select
    clock.newest_observed_at,
    loads.last_load_at,
    cast(coalesce(loads.complete_load_count, 0) as bigint) as complete_load_count,
    cast(coalesce(loads.incomplete_load_count, 0) as bigint) as incomplete_load_count,
    coverage.pulled_member_count,
    cast(coalesce(coverage.ok_member_count, 0) as bigint) as ok_member_count,
    cast(coalesce(coverage.failed_member_count, 0) as bigint) as failed_member_count,
    cast(coalesce(coverage.unavailable_member_count, 0) as bigint) as unavailable_member_count,
    cast(coalesce(coverage.wholly_covered_member_count, 0) as bigint) as wholly_covered_member_count,
    cast(coalesce(coverage.gap_count, 0) as bigint) as gap_count,
    cast(coalesce(authors.published_member_count, 0) as bigint) as published_member_count,
    cast(coalesce(authors.hidden_member_count, 0) as bigint) as hidden_member_count,
    cast(coalesce(authors.left_out_member_count, 0) as bigint) as left_out_member_count,
    posts.post_count,
    observations.observation_count,
    cast(coalesce(posts.deleted_post_count, 0) as bigint) as deleted_post_count,
    cast(coalesce(posts.posts_with_issues_count, 0) as bigint) as posts_with_issues_count
from clock
cross join loads
cross join coverage
cross join authors
cross join posts
cross join observations
