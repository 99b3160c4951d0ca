"""What the report says: questions to the marts, and answers small enough to travel inside one HTML file.

Whoever may be published is decided by dbt (`int_publishable_posts`, `int_publishable_reposts`, `int_report_members`);
every query here starts from those or from a `rpt_` mart. Times are relative to the newest observation, never to the
clock on the wall.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from pipelines.page import queries
from pipelines.page.queries import PERIODS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from duckdb import DuckDBPyConnection

Row = dict[str, Any]
Content = dict[str, Any]

ALL_PACKS: Final = "all"
"""What the marts call all packs together."""

KINDS: Final = ("original", "quote", "reply", "repost")


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
    queries.prepare(marts)
    withheld = Withheld(row["name"] for row in _rows(marts, queries.WITHHELD))
    people = _People(_rows(marts, queries.PUBLISHABLE_PEOPLE))
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
        "growth": _by_pack(order, _rows(marts, queries.GROWTH)),
        "half_life": _by_pack(order, _rows(marts, queries.HALF_LIFE)),
        "newcomers": _named(_by_pack(order, _rows(marts, queries.NEWCOMERS)), people),
        "quiet": _named(_by_pack(order, _rows(marts, queries.QUIET)), people),
        "members": _members(marts, order, people),
        "health": _rows(marts, "from rpt_data_health")[0],
        "nights": _rows(marts, queries.NIGHTS),
        "schema_changes": _rows(marts, queries.SCHEMA_CHANGES),
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
    for view, row in each(queries.BINS):
        bars = view["bins"][KINDS.index(row["kind"])]
        if row["bin"] >= len(bars):
            bars, row["bin"] = view["previous"][KINDS.index(row["kind"])], row["bin"] - len(bars)
        # Bins are counted back from the newest observation; bars stand in order of time.
        bars[len(bars) - 1 - row["bin"]] = row["count"]
    for view, row in each(queries.WEEK):
        view["week"][row["iso_weekday"] - 1][row["hour"]] = row["count"]
    for query in (queries.SUMMARY, queries.REACTIONS):
        for view, row in each(query):
            view["summary"] |= row


def _list(
    each: Callable[[str], Iterable[tuple[Content, Row]]], withheld: Withheld, people: _People, posts: _Posts
) -> None:
    for view, row in each(queries.TOP_POSTS):
        if len(view["top"]) < queries.MOST_TOP_POSTS and not withheld.is_named_in(row["text"]):
            view["top"].append(posts.number(row))
    for view, row in each(queries.LINKS):
        if len(view["links"]) < queries.MOST_LINKS and not withheld.is_named_in(row["uri"], row["title"]):
            view["links"].append(row)
    for view, row in each(queries.TIES):
        one, other = (people.number(row.pop(name)) for name in ("one_did", "other_did"))
        view["ties"].append({"one": one, "other": other} | row)
    queries_of = {
        "domains": queries.DOMAINS,
        "hashtags": queries.HASHTAGS,
        "languages": queries.LANGUAGES,
        "media": queries.MEDIA,
    }
    for name, query in queries_of.items():
        for view, row in each(query):
            if not withheld.is_named_in(row.get("name")):
                view[name].append(row)


def _newest_posts(marts: DuckDBPyConnection, order: list[str], withheld: Withheld, posts: _Posts) -> list[list[int]]:
    return [
        [posts.number(row) for row in rows if not withheld.is_named_in(row["text"])][: queries.MOST_NEWEST_POSTS]
        for rows in _by_pack(order, _rows(marts, queries.NEWEST_POSTS))
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
