{#- What was gained between two looks counts for the night of the second, if the first was no earlier than the night
    before the period: of what nobody looked at for longer, nobody knows when it came. What a post had when it was first
    seen was gained in the period only if the post is of the period. -#}
with periods as (
    select * from {{ ref('int_periods') }}
),

left_out as (
    select subject_uri as post_uri
    from {{ ref('int_deletions') }}
    where subject_type = 'post'
    union
    select uri as post_uri
    from {{ ref('int_records_in_doubt') }}
),

-- The age of the oldest post that was made in one of the periods. By it DuckDB skips the row groups of older posts, of
-- which a first night sees the most.
newest as (
    select max(observed_at) as observed_at
    from {{ ref('fct_post_engagement') }}
),

oldest as (
    select max({{ hours_between('periods.previous_from', 'newest.observed_at') }}) as hours_since_posted
    from periods
    cross join newest
),

looks_to_read as (
    select * from {{ ref('fct_post_engagement') }}
    where previous_observed_at is not null
    union all
    select * from {{ ref('fct_post_engagement') }}
    where previous_observed_at is null and hours_since_posted <= (select oldest.hours_since_posted from oldest)
),

looks as (
    select
        engagement.author_did,
        engagement.observed_at,
        engagement.hours_since_posted,
        engagement.previous_observed_at,
        coalesce(engagement.engagement_change, engagement.engagement_count) as gain
    from looks_to_read as engagement
    left join left_out on engagement.post_uri = left_out.post_uri
    where left_out.post_uri is null
),

gains as (
    select
        looks.author_did,
        periods.period,
        sum(
            case
                when
                    looks.observed_at > periods.nights_from
                    and case
                        when looks.previous_observed_at is not null
                            then looks.previous_observed_at > {{ before('periods.nights_from', 1) }}
                        else looks.hours_since_posted < {{ hours_between('periods.period_from', 'looks.observed_at') }}
                    end
                    then looks.gain
            end
        ) as engagement_gained,
        sum(
            case
                when
                    looks.observed_at <= periods.nights_from
                    and case
                        when looks.previous_observed_at is not null
                            then looks.previous_observed_at > {{ before('periods.previous_nights_from', 1) }}
                        else
                            looks.hours_since_posted
                            < {{ hours_between('periods.previous_from', 'looks.observed_at') }}
                    end
                    then looks.gain
            end
        ) as previous_engagement_gained
    from looks
    inner join periods on looks.observed_at > periods.previous_nights_from
    group by looks.author_did, periods.period
),

first_night as (
    select min(first_pulled_at) as first_pulled_at
    from {{ ref('fct_pull_coverage') }}
)

select
    report_members.pack_uri,
    gains.period,
    cast(sum(gains.engagement_gained) as bigint) as engagement_gained,
    -- There is nothing to compare with before the first night.
    cast(
        case
            when max(first_night.first_pulled_at) <= max(periods.previous_nights_from)
                then sum(gains.previous_engagement_gained)
        end as bigint
    ) as previous_engagement_gained
from gains
inner join {{ ref('int_report_members') }} as report_members on gains.author_did = report_members.did
inner join periods on gains.period = periods.period
cross join first_night
group by report_members.pack_uri, gains.period
