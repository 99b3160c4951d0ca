"""What the report says: questions to the marts, and answers small enough to travel inside one HTML file.

Whoever may be published is decided by dbt (`int_publishable_posts`, `int_publishable_reposts`, `int_report_members`);
every query here starts from those or from a `rpt_` mart. Times are relative to the newest observation, never to the
clock on the wall.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from duckdb import DuckDBPyConnection

Row = dict[str, Any]
Content = dict[str, Any]

ALL_PACKS: Final = "all"
"""What the marts call all packs together."""

KINDS: Final = ("original", "quote", "reply", "repost")

TOP_POSTS: Final = 10
TOP_LINKS: Final = 10
TOP_DOMAINS: Final = 12
TOP_HASHTAGS: Final = 12
MOVING_HASHTAGS: Final = 8
"""How many hashtags that rise, and how many that fall."""

TOP_LANGUAGES: Final = 8
STRONGEST_TIES: Final = 45
NEWEST_POSTS: Final = 10
NEWEST_NIGHTS: Final = 30
NEWEST_SCHEMA_CHANGES: Final = 20

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


class Withheld:
    """The handles and DIDs that no published word may hold, even where somebody else wrote it."""

    def __init__(self, names: Iterable[str]) -> None:
        alternatives = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        self._pattern = re.compile(alternatives, re.IGNORECASE) if alternatives else None

    def is_named_in(self, *texts: str | None) -> bool:
        """Say whether any of the texts names somebody who is withheld."""
        pattern = self._pattern
        return pattern is not None and any(text and pattern.search(text) for text in texts)


def read_content(marts: DuckDBPyConnection) -> Content:
    """Ask the marts for everything that the page shows.

    Args:
        marts: A connection to the warehouse; may be read-only. Makes temporary tables in it.

    Returns:
        What goes into the page as JSON. Lists that differ by pack are in the order of `packs`, whose first is all packs
        together; inside `views`, those that differ by period are under its name.

    Raises:
        duckdb.CatalogException: A mart is missing.
    """
    marts.execute("set TimeZone = 'UTC'")
    clock = _rows(marts, "from int_clock")[0]
    if clock["newest_observed_at"] is None:
        return {"observed_at": None, "packs": []}
    _prepare(marts)
    withheld = Withheld(row["name"] for row in _rows(marts, _WITHHELD))
    people = _People(_rows(marts, _PUBLISHABLE_PEOPLE))
    posts = _Posts(people)
    packs = _packs(marts, withheld)
    order = [pack["uri"] for pack in packs]
    content = {
        "observed_at": clock["newest_observed_at"],
        "kinds": KINDS,
        "periods": [
            {"name": period.name, "days": period.days, "bin_hours": period.bin_hours, "bin_count": period.bin_count}
            for period in PERIODS
        ],
        "packs": packs,
        "views": _views(marts, order, withheld, people, posts),
        "newest": _newest_posts(marts, order, withheld, posts),
        "calendar": _calendar(marts, order),
        "growth": _by_pack(order, _rows(marts, _GROWTH)),
        "half_life": _by_pack(order, _rows(marts, _HALF_LIFE)),
        "newcomers": _named(_by_pack(order, _rows(marts, _NEWCOMERS)), people),
        "quiet": _named(_by_pack(order, _rows(marts, _QUIET)), people),
        "members": _members(marts, order, people),
        "health": _rows(marts, "from rpt_data_health")[0],
        "nights": _rows(marts, _NIGHTS),
        "schema_changes": _rows(marts, _SCHEMA_CHANGES),
    }
    # What was named above is known only now.
    content["people"] = people.shown
    content["posts"] = posts.shown
    return content


def _rows(marts: DuckDBPyConnection, query: str, **parameters: object) -> list[Row]:
    relation = marts.execute(query, parameters or None)
    names = [column[0] for column in relation.description or ()]
    return [dict(zip(names, map(_plain, values), strict=True)) for values in relation.fetchall()]


def _plain(value: object) -> object:
    """Turn a value into what JSON has; a fraction keeps what can be read off a page."""
    match value:
        case datetime():
            return value.isoformat(timespec="seconds").replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case float():
            return round(value, 3)
    return value


class _People:
    """People who may be published; those that the page names, each once."""

    def __init__(self, rows: list[Row]) -> None:
        self._known = {row["did"]: row for row in rows}
        self._numbers: dict[str, int] = {}
        self.shown: list[Row] = []

    def __contains__(self, did: object) -> bool:
        return did in self._known

    def number(self, did: str) -> int:
        """Give somebody's place in the page's list of people."""
        if did not in self._numbers:
            self._numbers[did] = len(self.shown)
            self.shown.append(self._known[did])
        return self._numbers[did]


class _Posts:
    """The posts that the page quotes, each once."""

    def __init__(self, people: _People) -> None:
        self._people = people
        self._numbers: dict[str, int] = {}
        self.shown: list[Row] = []

    def number(self, row: Row) -> int:
        """Give a post's place in the page's list of posts."""
        uri = row["post_uri"]
        if uri not in self._numbers:
            self._numbers[uri] = len(self.shown)
            self.shown.append(
                {"by": self._people.number(row["author_did"]), "key": uri.rpartition("/")[2]}
                | {name: row[name] for name in _POST_COLUMNS}
            )
        return self._numbers[uri]


_POST_COLUMNS = (
    "kind",
    "text",
    "posted_at",
    "like_count",
    "repost_count",
    "reply_count",
    "quote_count",
    "engagement_count",
    "growth",
    "media_count",
    "labels",
)


def _by_pack(order: list[str], rows: list[Row]) -> list[list[Row]]:
    grouped = defaultdict(list)
    for row in rows:
        grouped[row.pop("pack_uri")].append(row)
    return [grouped[uri] for uri in order]


def _named(by_pack: list[list[Row]], people: _People) -> list[list[Row]]:
    return [[{"who": people.number(row.pop("did"))} | row for row in rows] for rows in by_pack]


def _prepare(marts: DuckDBPyConnection) -> None:
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
_WITHHELD = """
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

_PUBLISHABLE_PEOPLE = """
    select did, handle, display_name as name, is_bot
    from dim_authors where is_publishable
"""


def _packs(marts: DuckDBPyConnection, withheld: Withheld) -> list[Row]:
    """Give all packs together and then each pack, with the numbers of the first screen."""
    packs = _rows(
        marts,
        """
        select
            packs.pack_uri as uri, packs.pack_name as name, packs.description,
            packs.member_count, packs.published_member_count,
            starter_packs.creator_did, creators.handle as creator_handle, creators.is_publishable as shows_creator,
            packs.seed_type
        from rpt_packs as packs
        left join dim_starter_packs as starter_packs on packs.pack_uri = starter_packs.pack_uri
        left join dim_authors as creators on starter_packs.creator_did = creators.did
        where packs.seed_type != 'actor'
        order by packs.pack_uri = $all_packs desc, packs.member_count desc, packs.pack_uri
        """,
        all_packs=ALL_PACKS,
    )
    for pack in packs:
        creator, shows_creator, seed_type = pack.pop("creator_did"), pack.pop("shows_creator"), pack.pop("seed_type")
        if not shows_creator:
            pack["creator_handle"] = None
        pack["url"] = _pack_url(pack["uri"], seed_type) if shows_creator and creator else None
        for name in ("name", "description"):
            if withheld.is_named_in(pack[name]):
                pack[name] = None
    return packs


def _pack_url(uri: str, seed_type: str) -> str:
    did, _, key = uri.removeprefix("at://").split("/")
    if seed_type == "list":
        return f"https://bsky.app/profile/{did}/lists/{key}"
    return f"https://bsky.app/starter-pack/{did}/{key}"


def _views(
    marts: DuckDBPyConnection, order: list[str], withheld: Withheld, people: _People, posts: _Posts
) -> list[dict[str, Content]]:
    """Give, for each pack and period, what the filters choose between."""
    views: dict[tuple[str, str], Content] = {
        (uri, period.name): {
            "bins": [[0] * period.bin_count for _ in KINDS],
            "previous": [[0] * period.bin_count for _ in KINDS],
            "week": [[0] * 24 for _ in range(7)],
            "summary": {},
            "top": [],
            "domains": [],
            "links": [],
            "hashtags": [],
            "languages": [],
            "media": [],
            "ties": [],
        }
        for uri in order
        for period in PERIODS
    }

    def each(query: str) -> Iterable[tuple[Content, Row]]:
        for row in _rows(marts, query):
            view = views.get((row.pop("pack_uri"), row.pop("period")))
            if view is not None:
                yield view, row

    _count(each)
    _list(each, withheld, people, posts)
    return [{period.name: views[uri, period.name] for period in PERIODS} for uri in order]


def _count(each: Callable[[str], Iterable[tuple[Content, Row]]]) -> None:
    for view, row in each(_BINS):
        bars = view["bins"][KINDS.index(row["kind"])]
        if row["bin"] >= len(bars):
            bars, row["bin"] = view["previous"][KINDS.index(row["kind"])], row["bin"] - len(bars)
        # Bins are counted back from the newest observation; bars stand in order of time.
        bars[len(bars) - 1 - row["bin"]] = row["count"]
    for view, row in each(_WEEK):
        view["week"][row["iso_weekday"] - 1][row["hour"]] = row["count"]
    for query in (_SUMMARY, _REACTIONS):
        for view, row in each(query):
            view["summary"] |= row


def _list(
    each: Callable[[str], Iterable[tuple[Content, Row]]], withheld: Withheld, people: _People, posts: _Posts
) -> None:
    for view, row in each(_TOP_POSTS):
        if len(view["top"]) < TOP_POSTS and not withheld.is_named_in(row["text"]):
            view["top"].append(posts.number(row))
    for view, row in each(_LINKS):
        if len(view["links"]) < TOP_LINKS and not withheld.is_named_in(row["uri"], row["title"]):
            view["links"].append(row)
    for view, row in each(_TIES):
        one, other = (people.number(row.pop(name)) for name in ("one_did", "other_did"))
        view["ties"].append({"one": one, "other": other} | row)
    for name, query in {"domains": _DOMAINS, "hashtags": _HASHTAGS, "languages": _LANGUAGES, "media": _MEDIA}.items():
        for view, row in each(query):
            if not withheld.is_named_in(row.get("name")):
                view[name].append(row)


_BINS = """
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

_WEEK = """
    select
        acts.pack_uri, periods.period, isodow(acts.acted_at) as iso_weekday, hour(acts.acted_at) as hour,
        count(*) as count
    from acts
    inner join periods on acts.acted_at > periods.period_from and acts.acted_at <= periods.period_to
    group by all
"""

_SUMMARY = """
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
_REACTIONS = """
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

_POST_DETAILS = """
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

_TOP_POSTS = f"""
    with ranked as (
        select
            pack_uri, period, post_uri,
            row_number() over (
                partition by pack_uri, period
                order by engagement_count desc nulls last, like_count desc nulls last, post_uri
            ) as rank_number
        from period_posts where is_now
        qualify rank_number <= {TOP_POSTS + SPARE}
    ),
    {_POST_DETAILS}
    select ranked.pack_uri, ranked.period, details.*
    from ranked inner join details on ranked.post_uri = details.post_uri
    order by ranked.pack_uri, ranked.period, ranked.rank_number
"""

_NEWEST_POSTS = f"""
    with ranked as (
        select pack_uri, post_uri, rank_number from rpt_latest_posts where rank_number <= {NEWEST_POSTS + SPARE}
    ),
    {_POST_DETAILS}
    select ranked.pack_uri, details.*
    from ranked inner join details on ranked.post_uri = details.post_uri
    order by ranked.pack_uri, ranked.rank_number
"""

_LINKS = f"""
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
    ) <= {TOP_LINKS + SPARE}
    order by authors desc, reactions desc, posts desc, uri
"""

# A post counts once for a domain or a hashtag, however often it names it.
_NAMED_IN_POSTS = """
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

_DOMAINS = f"""
    with mentioned as (select post_uri, domain as name from fct_links),
    {_NAMED_IN_POSTS}
    select named.*, coalesce(types.link_type, 'other') as type
    from named
    left join int_domain_types as types on named.name = types.domain
    where named.posts > 0
    qualify row_number() over (
        partition by named.pack_uri, named.period order by named.posts desc, named.authors desc, named.name
    ) <= {TOP_DOMAINS}
    order by named.posts desc, named.authors desc, named.name
"""

_HASHTAGS = f"""
    with mentioned as (select post_uri, hashtag as name from fct_hashtags),
    {_NAMED_IN_POSTS}
    select *
    from named
    qualify
        (posts > 0 and row_number() over (
            partition by pack_uri, period order by posts desc, authors desc, name
        ) <= {TOP_HASHTAGS})
        or (posts > previous_posts and row_number() over (
            partition by pack_uri, period order by posts - previous_posts desc, authors desc, name
        ) <= {MOVING_HASHTAGS})
        or (posts < previous_posts and row_number() over (
            partition by pack_uri, period order by posts - previous_posts, previous_posts desc, name
        ) <= {MOVING_HASHTAGS})
    order by posts desc, authors desc, name
"""

_LANGUAGES = f"""
    with counted as (
        select pack_uri, period, coalesce(primary_language, 'unknown') as language, count(*) as posts
        from period_posts where is_now
        group by all
    )
    select * from counted
    qualify row_number() over (partition by pack_uri, period order by posts desc, language) <= {TOP_LANGUAGES}
    order by posts desc, language
"""

_MEDIA = """
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
_TIES = f"""
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
    ) <= {STRONGEST_TIES}
    order by ones.pack_uri, ties.period, count(*) desc, ties.one_did, ties.other_did
"""

_GROWTH = """
    select pack_uri, age_up_to_hours, post_count, mean_engagement, median_engagement, mean_share_of_final
    from rpt_engagement_by_age order by age_up_to_hours
"""

_HALF_LIFE = """
    select
        pack_uri, kind, post_count, median_half_life_hours, quarter_half_life_hours, three_quarters_half_life_hours
    from rpt_half_life order by post_count desc, kind
"""

_NEWCOMERS = """
    select pack_uri, did, member_from, is_last_week, followers_count, post_count, last_active_at
    from rpt_newcomers
    union all
    select
        'all', did, min(member_from), bool_or(is_last_week), any_value(followers_count), any_value(post_count),
        any_value(last_active_at)
    from rpt_newcomers group by did
    order by pack_uri, member_from desc, did
"""

_QUIET = """
    select pack_uri, did, last_active_at, quiet_days, usual_actions_per_week
    from rpt_quiet_members
    order by pack_uri, usual_actions_per_week desc, did
"""

_NIGHTS = f"""
    select first_observed_at, last_observed_at, is_complete, ok_count, unavailable_count, failed_count, author_feed_rows
    from rpt_nights where last_observed_at is not null
    order by last_observed_at desc limit {NEWEST_NIGHTS}
"""

# The first load makes every column: only what comes later is news.
_SCHEMA_CHANGES = f"""
    select changed_at, table_name, column_name, change, data_type, previous_data_type
    from fct_schema_changes
    where changed_at > (select min(completed_at) from fct_loads)
    order by changed_at desc, table_name, column_name limit {NEWEST_SCHEMA_CHANGES}
"""


def _newest_posts(marts: DuckDBPyConnection, order: list[str], withheld: Withheld, posts: _Posts) -> list[list[int]]:
    return [
        [posts.number(row) for row in rows if not withheld.is_named_in(row["text"])][:NEWEST_POSTS]
        for rows in _by_pack(order, _rows(marts, _NEWEST_POSTS))
    ]


def _calendar(marts: DuckDBPyConnection, order: list[str]) -> list[Row]:
    """Give the posts and reposts of each day, from the first day in the last year on which there was one."""
    days = _by_pack(
        order,
        _rows(
            marts,
            "select pack_uri, date_day, post_count, repost_count, active_member_count"
            " from rpt_activity_by_day order by date_day",
        ),
    )
    return [
        {
            "first_day": rows[0]["date_day"] if rows else None,
            "posts": [row["post_count"] for row in rows],
            "reposts": [row["repost_count"] for row in rows],
            "active": [row["active_member_count"] for row in rows],
        }
        for rows in days
    ]


def _members(marts: DuckDBPyConnection, order: list[str], people: _People) -> list[Row]:
    rows = _rows(
        marts,
        """
        select
            did, pack_uris, followers_count, followers_change_week, posts_last_week, posts_previous_week,
            posts_last_month, reposts_last_month, posts_per_day, engagement_last_month, median_engagement_last_month,
            score, last_active_at
        from rpt_members order by score desc, followers_count desc nulls last, did
        """,
    )
    return [
        {
            "who": people.number(row.pop("did")),
            "packs": [order.index(uri) for uri in row.pop("pack_uris") or () if uri in order],
        }
        | row
        for row in rows
    ]
