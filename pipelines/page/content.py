"""What the page says: the rows of the `rpt_` models as JSON, small enough to travel inside one HTML file.

dbt counts, ranks and decides who may be published and what may be quoted. Here each row finds its place: its pack, its
period, and, for people and posts, a number in a list that has each of them once.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final

from pipelines.page import queries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from duckdb import DuckDBPyConnection

Row = dict[str, Any]
Content = dict[str, Any]

KINDS: Final = ("original", "quote", "reply", "repost")

LISTS: Final = {
    "links": queries.LINKS,
    "domains": queries.DOMAINS,
    "hashtags": queries.HASHTAGS,
    "languages": queries.LANGUAGES,
    "media": queries.MEDIA,
    "media_kinds": queries.MEDIA_KINDS,
}
"""Lists of a pack and a period that the page has as they are asked for: their name there, and the question."""


def read_content(marts: DuckDBPyConnection) -> Content:
    """Ask the reports for everything that the page shows.

    Args:
        marts: A connection to the warehouse; may be read-only.

    Returns:
        What goes into the page as JSON. Lists that differ by pack are in the order of `packs`, whose first is all packs
        together; inside `views`, those that differ by period are under its name.

    Raises:
        duckdb.CatalogException: A report is missing.
    """
    marts.execute("set TimeZone = 'UTC'")
    (health,) = _rows(marts, queries.HEALTH)
    if health["newest_observed_at"] is None:
        return {"observed_at": None, "packs": []}
    people = _People(_rows(marts, queries.PEOPLE))
    posts = _Posts(people)
    packs = _rows(marts, queries.PACKS)
    periods = _rows(marts, queries.PERIODS)
    order = [pack["uri"] for pack in packs]
    content = {
        "observed_at": health["newest_observed_at"],
        "kinds": KINDS,
        "periods": periods,
        "packs": packs,
        "views": _views(marts, order, periods, people, posts),
        "newest": [[posts.number(row) for row in rows] for rows in _by_pack(order, _rows(marts, queries.NEWEST_POSTS))],
        "calendar": _calendar(_by_pack(order, _rows(marts, queries.CALENDAR))),
        "growth": _by_pack(order, _rows(marts, queries.GROWTH)),
        "half_life": _by_pack(order, _rows(marts, queries.HALF_LIFE)),
        "newcomers": _named(_by_pack(order, _rows(marts, queries.NEWCOMERS)), people),
        "quiet": _named(_by_pack(order, _rows(marts, queries.QUIET)), people),
        "follows": [
            (people.number(row["one_did"]), people.number(row["other_did"]))
            for row in _rows(marts, queries.MUTUAL_FOLLOWS)
        ],
        "groups": _groups(_by_pack(order, _rows(marts, queries.GROUPS)), people),
        "bridges": _named(_by_pack(order, _rows(marts, queries.BRIDGES)), people),
        "new_follows": [_new_follows(rows, people) for rows in _by_pack(order, _rows(marts, queries.NEW_FOLLOWS))],
        "outside": _named(_by_pack(order, _rows(marts, queries.FOLLOWED_OUTSIDE)), people),
        "liked": [
            [{"likers": row.pop("likers"), "post": posts.number(row)} for row in rows]
            for rows in _by_pack(order, _rows(marts, queries.LIKED_HERE))
        ],
        "members": _members(marts, order, people, posts),
        "models": {row["model"]: row["description"] for row in _rows(marts, queries.MODELS)},
        "health": health,
        "nights": _rows(marts, queries.NIGHTS),
        "schema_changes": _rows(marts, queries.SCHEMA_CHANGES),
    }
    # What was named above is known only now.
    content["people"] = people.shown
    content["posts"] = posts.shown
    return content


def _rows(marts: DuckDBPyConnection, query: str) -> list[Row]:
    relation = marts.execute(query)
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
            author = {"by": self._people.number(row["author_did"]), "key": uri.rpartition("/")[2]}
            elsewhere = ("pack_uri", "period", "post_uri", "author_did")
            self.shown.append(author | {name: value for name, value in row.items() if name not in elsewhere})
        return self._numbers[uri]


def _by_pack(order: list[str], rows: list[Row]) -> list[list[Row]]:
    grouped = defaultdict(list)
    for row in rows:
        grouped[row.pop("pack_uri")].append(row)
    return [grouped[uri] for uri in order]


def _named(by_pack: list[list[Row]], people: _People) -> list[list[Row]]:
    return [[{"who": people.number(row.pop("did"))} | row for row in rows] for rows in by_pack]


def _views(
    marts: DuckDBPyConnection, order: list[str], periods: list[Row], people: _People, posts: _Posts
) -> list[dict[str, Content]]:
    """Give, for each pack and period, what the filters choose between."""
    views: dict[tuple[str, str], Content] = {
        (uri, period["name"]): {
            "bins": [[0] * period["bin_count"] for _ in KINDS],
            "previous": [[0] * period["bin_count"] for _ in KINDS],
            "week": [[0] * 24 for _ in range(7)],
            "summary": {},
            "top": [],
            "ties": [],
        }
        | {name: [] for name in LISTS}
        for uri in order
        for period in periods
    }

    def each(query: str) -> Iterable[tuple[Content, Row]]:
        for row in _rows(marts, query):
            view = views.get((row.pop("pack_uri"), row.pop("period")))
            # The page leaves out packs of one person.
            if view is not None:
                yield view, row

    _count(each)
    for view, row in each(queries.TOP_POSTS):
        view["top"].append(posts.number(row))
    _tie(each, people)
    for name, query in LISTS.items():
        for view, row in each(query):
            view[name].append(row)
    return [{period["name"]: views[uri, period["name"]] for period in periods} for uri in order]


def _count(each: Callable[[str], Iterable[tuple[Content, Row]]]) -> None:
    for view, row in each(queries.BINS):
        # Bins are counted back from the newest observation; bars stand in order of time.
        bin_count = len(view["bins"][0])
        before, number = divmod(row["bin_number"], bin_count)
        for bars, kind in zip(view["previous" if before else "bins"], KINDS, strict=True):
            bars[bin_count - 1 - number] = row[f"{kind}_count"]
    for view, row in each(queries.WEEK):
        view["week"][row["iso_weekday"] - 1][row["hour_of_day"]] = row["count"]
    for query in (queries.ACTIVE, queries.REACTIONS):
        for view, row in each(query):
            view["summary"] |= row


def _tie(each: Callable[[str], Iterable[tuple[Content, Row]]], people: _People) -> None:
    """Make one tie of what passed between two people: `given` is from `one` to `other`, `returned` is back."""
    ties: dict[tuple[int, str, str], Row] = {}
    for view, row in each(queries.TIES):
        actor, subject, count = row.pop("actor_did"), row.pop("subject_did"), row.pop("count")
        one, other = sorted((actor, subject))
        key = (id(view), one, other)
        if key not in ties:
            ends = {"one": people.number(one), "other": people.number(other)}
            ties[key] = ends | {"given": 0, "returned": 0} | dict.fromkeys(row, 0)
            view["ties"].append(ties[key])
        ties[key]["given" if actor == one else "returned"] += count
        for name, value in row.items():
            ties[key][name] += value


def _calendar(by_pack: list[list[Row]]) -> list[Row]:
    """Give the posts and reposts of each day, from the first day in the last year on which there was one."""
    return [
        {"first_day": rows[0]["date_day"] if rows else None}
        | {name: [row[name] for row in rows] for name in ("posts", "reposts", "active")}
        for rows in by_pack
    ]


def _new_follows(rows: list[Row], people: _People) -> list[Row]:
    return [
        {"one": people.number(row["follower_did"]), "other": people.number(row["followed_did"]), "at": row["at"]}
        for row in rows
    ]


def _groups(by_pack: list[list[Row]], people: _People) -> list[list[Row]]:
    """Give the members of each group under the one whom it is called by, the largest group first."""
    groups: list[list[Row]] = []
    for rows in by_pack:
        members: dict[str, list[int]] = {}
        for row in rows:
            members.setdefault(row["group_did"], []).append(people.number(row["did"]))
        groups.append([{"of": people.number(did), "members": numbers} for did, numbers in members.items()])
    return groups


def _members(marts: DuckDBPyConnection, order: list[str], people: _People, posts: _Posts) -> list[Row]:
    """Give the rows of the table of people, each with what its profile shows."""
    weeks: dict[str, list[list[int]]] = defaultdict(lambda: [[0] * queries.MOST_WEEKS for _ in range(2)])
    for row in _rows(marts, queries.MEMBER_WEEKS):
        # Weeks are counted back from the newest observation; bars stand in order of time.
        for bars, name in zip(weeks[row["did"]], ("posts", "reposts"), strict=True):
            bars[queries.MOST_WEEKS - 1 - row["week_number"]] = row[name]
    top: dict[str, list[int]] = defaultdict(list)
    for row in _rows(marts, queries.MEMBER_TOP_POSTS):
        top[row["author_did"]].append(posts.number(row))
    ties: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    for row in _rows(marts, queries.MEMBER_TIES):
        ties[row["did"]].append((people.number(row["other_did"]), row["given"], row["returned"]))
    return [
        {
            "who": people.number(did := row.pop("did")),
            "packs": [order.index(uri) for uri in row.pop("pack_uris") or () if uri in order],
            "weeks": weeks.get(did),
            "top": top[did],
            "ties": ties[did],
        }
        | row
        for row in _rows(marts, queries.MEMBERS)
    ]
