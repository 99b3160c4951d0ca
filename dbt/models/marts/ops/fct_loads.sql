with loads as (
    select * from {{ ref('stg_dlt__loads') }}
    where not is_of_checks
),

row_counts as (
    select
        load_id,
        sum(author_feed_rows) as author_feed_rows,
        sum(profile_rows) as profile_rows,
        sum(member_rows) as member_rows,
        sum(feed_pull_rows) as feed_pull_rows
    from (
        select
            load_id,
            count(*) as author_feed_rows,
            0 as profile_rows,
            0 as member_rows,
            0 as feed_pull_rows
        from {{ ref('base_bluesky__author_feed') }}
        group by load_id
        union all
        select
            load_id,
            0 as author_feed_rows,
            count(*) as profile_rows,
            0 as member_rows,
            0 as feed_pull_rows
        from {{ ref('base_bluesky__profiles') }}
        group by load_id
        union all
        select
            load_id,
            0 as author_feed_rows,
            0 as profile_rows,
            count(*) as member_rows,
            0 as feed_pull_rows
        from {{ ref('base_bluesky__starter_pack_members') }}
        group by load_id
        union all
        select
            load_id,
            0 as author_feed_rows,
            0 as profile_rows,
            0 as member_rows,
            count(*) as feed_pull_rows
        from {{ ref('base_bluesky__feed_pulls') }}
        group by load_id
    ) as rows_by_table
    group by load_id
),

pulls as (
    select
        load_id,
        min(observed_at) as first_observed_at,
        max(observed_at) as last_observed_at,
        sum(case when outcome = 'ok' then 1 else 0 end) as ok_count,
        sum(case when outcome = 'failed' then 1 else 0 end) as failed_count,
        sum(case when outcome not in ('ok', 'failed') then 1 else 0 end) as unavailable_count
    from {{ ref('int_member_pulls') }}
    group by load_id
)

select
    loads.load_id,
    loads.started_at,
    loads.completed_at,
    loads.is_complete,
    loads.evidence,
    loads.schema_version_hash,
    loads.file_count,
    cast(coalesce(row_counts.author_feed_rows, 0) as bigint) as author_feed_rows,
    cast(coalesce(row_counts.profile_rows, 0) as bigint) as profile_rows,
    cast(coalesce(row_counts.member_rows, 0) as bigint) as member_rows,
    cast(coalesce(row_counts.feed_pull_rows, 0) as bigint) as feed_pull_rows,
    pulls.first_observed_at,
    pulls.last_observed_at,
    cast(coalesce(pulls.ok_count, 0) as bigint) as ok_count,
    cast(coalesce(pulls.unavailable_count, 0) as bigint) as unavailable_count,
    cast(coalesce(pulls.failed_count, 0) as bigint) as failed_count
from loads
left join row_counts on loads.load_id = row_counts.load_id
left join pulls on loads.load_id = pulls.load_id
