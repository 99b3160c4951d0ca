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

unasked as (
    select
        count(*) as unasked_member_count,
        min(pulls.last_pulled_at) as unasked_since
    from (
        select distinct did from {{ ref('bridge_pack_members') }}
        where is_current and hidden_because is null
    ) as members
    left join {{ ref('fct_pull_coverage') }} as pulls on members.did = pulls.did
    where pulls.did is null or pulls.is_unasked
),

-- Of those whose feed is asked for.
audits as (
    select
        sum(case when audits.audited_at is not null then 1 else 0 end) as audited_member_count,
        sum(case when audits.is_verified then 1 else 0 end) as verified_member_count,
        sum(case when audits.is_complete and not audits.is_verified then 1 else 0 end) as listed_member_count,
        min(audits.coverage_percent) as least_audit_percent,
        case
            when sum(audits.expected_count - audits.hidden_count) > 0
                then 1e2 * sum(audits.present_count) / sum(audits.expected_count - audits.hidden_count)
            when count(audits.expected_count) > 0 then 1e2
        end as audit_percent
    from {{ ref('fct_audit_coverage') }} as audits
    inner join {{ ref('fct_pull_coverage') }} as pulls on audits.did = pulls.did
),

reposts as (
    select count(*) as in_doubt_repost_count
    from {{ ref('fct_reposts') }}
    where is_in_doubt
),

authors as (
    select
        sum(case when is_current_member and is_publishable then 1 else 0 end) as published_member_count,
        sum(case when withheld_because = 'asks_to_be_hidden' then 1 else 0 end) as hidden_member_count,
        sum(case when withheld_because = 'left_out_by_setting' then 1 else 0 end) as left_out_member_count
    from {{ ref('dim_authors') }}
    where is_current_member
),

-- All of history, by numbers alone, since a count may be one too many: with texts, through fct_posts, or with a filter
-- before the join, it would cost several times as much.
marks as (
    select
        {{ uri_sort_key('subject_uri') }} as post_sort_key,
        true as is_deleted
    from {{ ref('int_deletions') }}
    where subject_type = 'post'
    union all
    select
        {{ uri_sort_key('uri') }} as post_sort_key,
        false as is_deleted
    from {{ ref('int_records_in_doubt') }}
),

pulled_posts as (
    select sum(cast(is_in_own_feed as integer)) as post_count
    from {{ ref('int_posts') }}
),

live_posts as (
    select count(*) as post_count
    from {{ ref('int_live_posts') }}
    where not is_pulled
),

marked_posts as (
    select
        count(case when either.is_own and marks.is_deleted then 1 end) as deleted_post_count,
        count(case when either.is_own and not marks.is_deleted then 1 end) as in_doubt_post_count
    from (
        select
            post_sort_key,
            is_in_own_feed as is_own
        from {{ ref('int_posts') }}
        union all
        select
            {{ uri_sort_key('post_uri') }} as post_sort_key,
            true as is_own
        from {{ ref('int_live_posts') }}
        where not is_pulled
    ) as either
    inner join marks on either.post_sort_key = marks.post_sort_key
),

issues as (
    select count(*) as posts_with_issues_count
    from {{ ref('fct_posts') }}
    where has_issues
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
    unasked.unasked_member_count,
    unasked.unasked_since,
    cast(coalesce(authors.published_member_count, 0) as bigint) as published_member_count,
    cast(coalesce(authors.hidden_member_count, 0) as bigint) as hidden_member_count,
    cast(coalesce(authors.left_out_member_count, 0) as bigint) as left_out_member_count,
    cast(coalesce(pulled_posts.post_count, 0) + live_posts.post_count as bigint) as post_count,
    observations.observation_count,
    marked_posts.deleted_post_count,
    marked_posts.in_doubt_post_count,
    reposts.in_doubt_repost_count,
    cast(coalesce(audits.audited_member_count, 0) as bigint) as audited_member_count,
    cast(coalesce(audits.verified_member_count, 0) as bigint) as verified_member_count,
    cast(coalesce(audits.listed_member_count, 0) as bigint) as listed_member_count,
    cast(audits.least_audit_percent as double) as least_audit_percent,
    cast(audits.audit_percent as double) as audit_percent,
    issues.posts_with_issues_count
from clock
cross join loads
cross join coverage
cross join unasked
cross join authors
cross join audits
cross join reposts
cross join pulled_posts
cross join live_posts
cross join marked_posts
cross join issues
cross join observations
