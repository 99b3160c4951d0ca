"""The questions that the page asks of the marts, in SQL.

Each gives a row its `pack_uri`, `all` for all packs together, and what the page can be filtered by, its `period`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_TOP_POSTS: Final = 10
MOST_LINKS: Final = 10
MOST_DOMAINS: Final = 12
MOST_HASHTAGS: Final = 12
MOST_MOVING_HASHTAGS: Final = 8
"""How many hashtags that rise, and how many that fall."""

MOST_LANGUAGES: Final = 8
MOST_TIES: Final = 45
MOST_NEWEST_POSTS: Final = 10
MOST_NIGHTS: Final = 30
MOST_SCHEMA_CHANGES: Final = 20

SPARE: Final = 10
"""How many more rows are asked for than shown, since some may name somebody who is withheld."""


@dataclass(frozen=True)
class Period:
    """A span of time up to the newest observation that the page can be filtered to.

    Attributes:
        name: What it is called in the data.
        days: Its length; the time of equal length before it is what it is compared with.
        bin_hours: Length of one bar of its chart.
    """

    name: str
    days: int
    bin_hours: int

    @property
    def bin_count(self) -> int:
        """How many bars it has."""
        return self.days * 24 // self.bin_hours


PERIODS: Final = (
    Period("day", days=1, bin_hours=1),
    Period("week", days=7, bin_hours=24),
    Period("month", days=28, bin_hours=24),
    Period("year", days=364, bin_hours=168),
)


def prepare(marts: DuckDBPyConnection) -> None:
    """Lay out once, narrow, what most questions are about: what was done and by whom, for each pack and period."""
    spans = ", ".join(f"('{period.name}', {period.days}, {period.bin_hours})" for period in PERIODS)
    marts.execute(
        f"""
        create or replace temp table periods as
        select
            period, bin_hours, newest_observed_at as period_to,
            newest_observed_at - to_days(days) as period_from,
            newest_observed_at - to_days(2 * days) as previous_from,
            -- Nights are a day apart, give or take: half a day later is a boundary that no night sits on.
            newest_observed_at - to_days(days) + to_hours(12) as nights_from,
            newest_observed_at - to_days(2 * days) + to_hours(12) as previous_nights_from
        from (values {spans}) as spans (period, days, bin_hours) cross join int_clock
        """
    )
    marts.execute(
        """
        create or replace temp table posts as
        select post_uri, author_did, kind, posted_at, engagement_count, like_count, primary_language
        from int_publishable_posts
        """
    )
    marts.execute(
        """
        create or replace temp table reposts as
        select repost_uri, reposter_did, reposted_at
        from int_publishable_reposts
        where reposted_at > (select min(previous_from) from periods)
        """
    )
    marts.execute(
        """
        create or replace temp table acts as
        select members.pack_uri, done.did, done.kind, done.acted_at
        from (
            select author_did as did, kind, posted_at as acted_at from posts
            where posted_at > (select min(previous_from) from periods)
            union all
            select reposter_did, 'repost', reposted_at from reposts
        ) as done
        inner join int_report_members as members on done.did = members.did
        """
    )
    # A post in a period and pack, and whether it is of the period itself or of the time before.
    marts.execute(
        """
        create or replace temp table period_posts as
        select
            members.pack_uri, periods.period, posts.post_uri, posts.author_did, posts.posted_at,
            posts.engagement_count, posts.like_count, posts.primary_language,
            posts.posted_at > periods.period_from as is_now
        from posts
        inner join int_report_members as members on posts.author_did = members.did
        inner join periods on posts.posted_at > periods.previous_from and posts.posted_at <= periods.period_to
        """
    )


# A handle can have moved on to somebody who may be published: then it is theirs.
WITHHELD = """
    with names as (
        select authors.did, unnest([authors.did, authors.handle]) as name
        from dim_authors as authors where not authors.is_publishable
        union
        select authors.did, spans.handle
        from int_handle_spans as spans inner join dim_authors as authors on spans.did = authors.did
        where not authors.is_publishable
    )
    select distinct name from names
    where
        name is not null and name not in ('', 'handle.invalid')
        and name not in (select handle from dim_authors where is_publishable and handle is not null)
"""

PUBLISHABLE_PEOPLE = """
    select did, handle, display_name as name, is_bot
    from dim_authors where is_publishable
"""

BINS = """
    select
        acts.pack_uri, periods.period, acts.kind,
        -- In whole microseconds: the difference of two timestamps with a zone is an interval, and slow to come by.
        cast(
            (epoch_us(periods.period_to) - epoch_us(acts.acted_at)) // (periods.bin_hours * 3_600_000_000) as integer
        ) as bin,
        count(*) as count
    from acts
    inner join periods on acts.acted_at > periods.previous_from and acts.acted_at <= periods.period_to
    group by all
"""

WEEK = """
    select
        acts.pack_uri, periods.period, isodow(acts.acted_at) as iso_weekday, hour(acts.acted_at) as hour,
        count(*) as count
    from acts
    inner join periods on acts.acted_at > periods.period_from and acts.acted_at <= periods.period_to
    group by all
"""

SUMMARY = """
    select
        acts.pack_uri, periods.period,
        count(distinct acts.did) filter (where acts.acted_at > periods.period_from) as active,
        count(distinct acts.did) filter (where acts.acted_at <= periods.period_from) as previous_active
    from acts
    inner join periods on acts.acted_at > periods.previous_from and acts.acted_at <= periods.period_to
    group by all
"""

# What was gained between two looks counts for the night of the second. What a post had when it was first seen was
# gained in the period only if the post is of the period. There is nothing to compare with before the first night.
REACTIONS = """
    with gains as (
        select
            seen.author_did, seen.observed_at, posts.posted_at,
            seen.previous_observed_at is null as is_first,
            coalesce(seen.engagement_change, seen.engagement_count) as gain
        from fct_post_engagement as seen
        inner join posts on seen.post_uri = posts.post_uri
        where seen.observed_at > (select min(previous_nights_from) from periods)
    ),
    first_night as (select min(first_pulled_at) as first_pulled_at from fct_pull_coverage)
    select
        members.pack_uri, periods.period,
        cast(sum(gains.gain) filter (
            where gains.observed_at > periods.nights_from
                and (not gains.is_first or gains.posted_at > periods.period_from)
        ) as bigint) as reactions,
        case when any_value(first_night.first_pulled_at) <= any_value(periods.previous_nights_from) then
            cast(sum(gains.gain) filter (
                where gains.observed_at <= periods.nights_from
                    and (not gains.is_first or gains.posted_at > periods.previous_from)
            ) as bigint)
        end as previous_reactions
    from gains
    inner join int_report_members as members on gains.author_did = members.did
    inner join periods on gains.observed_at > periods.previous_nights_from
    cross join first_night
    group by all
"""

POST_DETAILS = """
    details as (
        select
            posts.post_uri, posts.author_did, posts.kind, posts.text, posts.posted_at, posts.like_count,
            posts.repost_count, posts.reply_count, posts.quote_count, posts.engagement_count, posts.media_count,
            posts.labels,
            case
                when posts.last_observed_at <= int_clock.newest_observed_at - to_hours(12) then null
                when the_day_before.post_uri is not null
                    then posts.engagement_count - the_day_before.engagement_count
                when posts.posted_at > int_clock.previous_day_from then posts.engagement_count
            end as growth
        from (select distinct post_uri from ranked) as wanted
        -- They come from `posts`, so they may be published.
        inner join int_posts as posts on wanted.post_uri = posts.post_uri
        cross join int_clock
        left join (
            select seen.post_uri, max_by(seen.engagement_count, seen.observed_at) as engagement_count
            from fct_post_engagement as seen
            inner join ranked on seen.post_uri = ranked.post_uri
            cross join int_clock
            where seen.observed_at <= int_clock.newest_observed_at - to_hours(12)
            group by seen.post_uri
        ) as the_day_before on posts.post_uri = the_day_before.post_uri
    )
"""

TOP_POSTS = f"""
    with ranked as (
        select
            pack_uri, period, post_uri,
            row_number() over (
                partition by pack_uri, period
                order by engagement_count desc nulls last, like_count desc nulls last, post_uri
            ) as rank_number
        from period_posts where is_now
        qualify rank_number <= {MOST_TOP_POSTS + SPARE}
    ),
    {POST_DETAILS}
    select ranked.pack_uri, ranked.period, details.*
    from ranked inner join details on ranked.post_uri = details.post_uri
    order by ranked.pack_uri, ranked.period, ranked.rank_number
"""

NEWEST_POSTS = f"""
    with ranked as (
        select pack_uri, post_uri, rank_number from rpt_latest_posts where rank_number <= {MOST_NEWEST_POSTS + SPARE}
    ),
    {POST_DETAILS}
    select ranked.pack_uri, details.*
    from ranked inner join details on ranked.post_uri = details.post_uri
    order by ranked.pack_uri, ranked.rank_number
"""

LINKS = f"""
    with counted as (
        select
            posts.pack_uri, posts.period, links.link_uri as uri, max(links.domain) as domain,
            max_by(links.card_title, (posts.posted_at, posts.post_uri)) as title,
            count(*) as posts, count(distinct posts.author_did) as authors,
            cast(sum(coalesce(posts.engagement_count, 0)) as bigint) as reactions
        from fct_links as links
        inner join period_posts as posts on links.post_uri = posts.post_uri
        where posts.is_now and links.domain is not null
        group by posts.pack_uri, posts.period, links.link_uri
    )
    select * from counted
    qualify row_number() over (
        partition by pack_uri, period order by authors desc, reactions desc, posts desc, uri
    ) <= {MOST_LINKS + SPARE}
    order by authors desc, reactions desc, posts desc, uri
"""

# A post counts once for a domain or a hashtag, however often it names it.
NAMED_IN_POSTS = """
    named as (
        select
            posts.pack_uri, posts.period, mentioned.name,
            count(distinct posts.post_uri) filter (where posts.is_now) as posts,
            count(distinct posts.post_uri) filter (where not posts.is_now) as previous_posts,
            count(distinct posts.author_did) filter (where posts.is_now) as authors
        from mentioned
        inner join period_posts as posts on mentioned.post_uri = posts.post_uri
        where mentioned.name is not null
        group by posts.pack_uri, posts.period, mentioned.name
    )
"""

DOMAINS = f"""
    with mentioned as (select post_uri, domain as name from fct_links),
    {NAMED_IN_POSTS}
    select named.*, coalesce(types.link_type, 'other') as type
    from named
    left join int_domain_types as types on named.name = types.domain
    where named.posts > 0
    qualify row_number() over (
        partition by named.pack_uri, named.period order by named.posts desc, named.authors desc, named.name
    ) <= {MOST_DOMAINS}
    order by named.posts desc, named.authors desc, named.name
"""

HASHTAGS = f"""
    with mentioned as (select post_uri, hashtag as name from fct_hashtags),
    {NAMED_IN_POSTS}
    select *
    from named
    qualify
        (posts > 0 and row_number() over (
            partition by pack_uri, period order by posts desc, authors desc, name
        ) <= {MOST_HASHTAGS})
        or (posts > previous_posts and row_number() over (
            partition by pack_uri, period order by posts - previous_posts desc, authors desc, name
        ) <= {MOST_MOVING_HASHTAGS})
        or (posts < previous_posts and row_number() over (
            partition by pack_uri, period order by posts - previous_posts, previous_posts desc, name
        ) <= {MOST_MOVING_HASHTAGS})
    order by posts desc, authors desc, name
"""

LANGUAGES = f"""
    with counted as (
        select pack_uri, period, coalesce(primary_language, 'unknown') as language, count(*) as posts
        from period_posts where is_now
        group by all
    )
    select * from counted
    qualify row_number() over (partition by pack_uri, period order by posts desc, language) <= {MOST_LANGUAGES}
    order by posts desc, language
"""

MEDIA = """
    select
        posts.pack_uri, posts.period, media.kind,
        count(*) filter (where posts.is_now) as count,
        count(*) filter (where posts.is_now and media.has_alt_text) as with_alt_text,
        count(*) filter (where not posts.is_now) as previous_count,
        count(*) filter (where not posts.is_now and media.has_alt_text) as previous_with_alt_text
    from fct_media as media
    inner join period_posts as posts on media.post_uri = posts.post_uri
    group by posts.pack_uri, posts.period, media.kind
    order by media.kind
"""

# Both may be published, and what ties them is still on show. `given` is from one to the other.
TIES = f"""
    with shown as (
        select post_uri as uri from posts
        union all
        select repost_uri from reposts
    ),
    ties as (
        select
            periods.period, done.kind, done.actor_did < done.subject_did as is_given,
            least(done.actor_did, done.subject_did) as one_did,
            greatest(done.actor_did, done.subject_did) as other_did
        from fct_interactions as done
        inner join shown on done.interaction_uri = shown.uri
        inner join periods
            on done.interacted_at > periods.period_from and done.interacted_at <= periods.period_to
        where not done.is_with_self
    )
    select
        ones.pack_uri, ties.period, ties.one_did, ties.other_did,
        count(*) filter (where ties.is_given) as given,
        count(*) filter (where not ties.is_given) as returned,
        count(*) filter (where ties.kind = 'reply') as replies,
        count(*) filter (where ties.kind = 'quote') as quotes,
        count(*) filter (where ties.kind = 'repost') as reposts,
        count(*) filter (where ties.kind = 'mention') as mentions
    from ties
    inner join int_report_members as ones on ties.one_did = ones.did
    inner join int_report_members as others on ties.other_did = others.did and ones.pack_uri = others.pack_uri
    group by ones.pack_uri, ties.period, ties.one_did, ties.other_did
    qualify row_number() over (
        partition by ones.pack_uri, ties.period order by count(*) desc, ties.one_did, ties.other_did
    ) <= {MOST_TIES}
    order by ones.pack_uri, ties.period, count(*) desc, ties.one_did, ties.other_did
"""

GROWTH = """
    select pack_uri, age_up_to_hours, post_count, mean_engagement, median_engagement, mean_share_of_final
    from rpt_engagement_by_age order by age_up_to_hours
"""

HALF_LIFE = """
    select
        pack_uri, kind, post_count, median_half_life_hours, quarter_half_life_hours, three_quarters_half_life_hours
    from rpt_half_life order by post_count desc, kind
"""

NEWCOMERS = """
    select pack_uri, did, member_from, is_last_week, followers_count, post_count, last_active_at
    from rpt_newcomers
    union all
    select
        'all', did, min(member_from), bool_or(is_last_week), any_value(followers_count), any_value(post_count),
        any_value(last_active_at)
    from rpt_newcomers group by did
    order by pack_uri, member_from desc, did
"""

QUIET = """
    select pack_uri, did, last_active_at, quiet_days, usual_actions_per_week
    from rpt_quiet_members
    order by pack_uri, usual_actions_per_week desc, did
"""

NIGHTS = f"""
    select first_observed_at, last_observed_at, is_complete, ok_count, unavailable_count, failed_count, author_feed_rows
    from rpt_nights where last_observed_at is not null
    order by last_observed_at desc limit {MOST_NIGHTS}
"""

# The first load makes every column: only what comes later is news.
SCHEMA_CHANGES = f"""
    select changed_at, table_name, column_name, change, data_type, previous_data_type
    from fct_schema_changes
    where changed_at > (select min(completed_at) from fct_loads)
    order by changed_at desc, table_name, column_name limit {MOST_SCHEMA_CHANGES}
"""
