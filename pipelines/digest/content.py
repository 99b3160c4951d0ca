"""What the digest says: the seven days up to the newest observation, and what reports still know of the weeks before.

An entry is that of an ISO week. While the week goes on, it tells of the seven days up to now, as the page does, so that
on a Monday it tells of the week that has just ended. Once the week is over, it tells of its own days: what was posted,
who joined, and which of its posts are still among the month's. That is rebuilt from the reports each night, and kept by
nobody; so whoever is withheld later is in no old entry either. What reports know of joining reaches back 28 days, hence
three weeks before the present one.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

from pipelines.digest import queries
from pipelines.digest.document import Digest, Line, Link, Section, Week, link, plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from duckdb import DuckDBPyConnection

Row = dict[str, Any]

WEEKS_BEFORE: Final = 3
MOST_NAMED: Final = 10
MOST_LETTERS: Final = 280
MOST_IN_CHAT: Final = 3


def read_digest(marts: DuckDBPyConnection) -> Digest:
    """Ask the reports for the digest.

    Args:
        marts: A connection to the warehouse; may be read-only.

    Raises:
        duckdb.CatalogException: A report is missing.
    """
    marts.execute("set TimeZone = 'UTC'")
    (health,) = _rows(marts, queries.HEALTH)
    until = health["newest_observed_at"]
    if until is None:
        return Digest(lake="", title=_title([]))
    newest, chat = _newest_week(marts, until, health)
    mondays = [newest.monday - timedelta(weeks=number) for number in range(1, WEEKS_BEFORE + 1)]
    return Digest(
        lake=_rows(marts, queries.LAKE)[0]["lake"],
        title=_title([row["pack_name"] for row in _rows(marts, queries.PACKS)]),
        weeks=(newest, *filter(lambda week: week.sections, (_earlier_week(marts, monday) for monday in mondays))),
        chat=chat,
    )


def _rows(marts: DuckDBPyConnection, query: str, **parameters: object) -> list[Row]:
    relation = marts.execute(query, parameters or None)
    names = [column[0] for column in relation.description or ()]
    return [dict(zip(names, values, strict=True)) for values in relation.fetchall()]


def _title(packs: list[str | None]) -> str:
    names = [name or "An unnamed pack" for name in packs]
    return f"{' and '.join(names) if 0 < len(names) <= 2 else 'People on Bluesky'}: the week"


def _newest_week(marts: DuckDBPyConnection, until: datetime, health: Row) -> tuple[Week, tuple[str, ...]]:
    """Give the week, and of it what a chat is told, which shows by itself what is behind an address."""
    stretch = {"since": until - timedelta(days=7), "until": until}
    monday, title = until.date() - timedelta(days=until.weekday()), f"The week to {_day(until)}"
    numbers = _numbers(_rows(marts, queries.NUMBERS)[0] | _rows(marts, queries.REACTIONS)[0])
    top = _rows(marts, queries.TOP_POSTS, period="week", **stretch)
    sections = (
        _numbered(numbers),
        Section("Most reactions", _posts(top)),
        Section("Liked here, written elsewhere", tuple(map(_liked, _rows(marts, queries.LIKED, **stretch)))),
        Section("Hashtags on the rise", tuple(map(_hashtag, _rows(marts, queries.HASHTAGS)))),
        Section("Links", tuple(map(_linked, _rows(marts, queries.LINKS)))),
        Section("Who joined", _people(_rows(marts, queries.NEWCOMERS, **stretch))),
        Section("New follows", _first(map(_follow, _rows(marts, queries.FOLLOWS, **stretch)))),
        Section("Close to us, in no pack", tuple(map(_outside, _rows(marts, queries.OUTSIDE)))),
        Section("What is not well", tuple(_troubles(health))),
    )
    chat = (f"{title}:", *numbers, *(_post_url(row["post_uri"]) for row in top[:MOST_IN_CHAT]))
    return Week(monday, until, title, _with_lines(sections)), chat


def _earlier_week(marts: DuckDBPyConnection, monday: date) -> Week:
    since = datetime.combine(monday, time(), UTC)
    stretch = {"since": since, "until": since + timedelta(days=7)}
    sections = (
        _numbered(_numbers(_rows(marts, queries.NUMBERS_OF_DAYS, monday=monday)[0])),
        Section("Among the month's posts", _posts(_rows(marts, queries.TOP_POSTS, period="month", **stretch))),
        Section("Who joined", _people(_rows(marts, queries.NEWCOMERS, **stretch))),
    )
    return Week(monday, stretch["until"], f"The week from {_day(monday)}", _with_lines(sections))


def _with_lines(sections: Iterable[Section]) -> tuple[Section, ...]:
    return tuple(section for section in sections if section.lines)


def _day(moment: date) -> str:
    return f"{moment.day} {moment:%B %Y}"


def _numbers(row: Row) -> list[str]:
    """Say each number that is known against that of the week before."""
    numbers = []
    for name, said in (
        ("posts", "posts and replies"),
        ("active", "people active"),
        ("reactions", "reactions"),
        ("reactions_to_them", "reactions to these, so far"),
    ):
        now, before = row.get(name), row.get(f"previous_{name}")
        if now is not None:
            numbers.append(f"{now:,} {said}" + (f", the week before {before:,}" if before is not None else ""))
    return numbers


def _numbered(numbers: list[str]) -> Section:
    return Section("In numbers", tuple((number,) for number in numbers))


def _posts(rows: list[Row]) -> tuple[Line, ...]:
    return tuple((*_quoted(row), f": {_counted(row['engagement_count'] or 0, 'reaction')}") for row in rows)


def _liked(row: Row) -> Line:
    return (*_quoted(row), f": liked or reposted by {row['member_count']:,} of us")


def _quoted(row: Row) -> Line:
    words = _words(row["text"])
    author = _person(row["author_did"], row["author_handle"])
    return (author, ", ", link("post", _post_url(row["post_uri"])), *((f": “{words}”",) if words else ()))


def _words(text: str | None) -> str:
    words = " ".join(plain(text or "").split())
    return words if len(words) <= MOST_LETTERS else f"{words[:MOST_LETTERS]}…"


def _post_url(uri: str) -> str:
    did, _, key = uri.removeprefix("at://").split("/")
    return f"https://bsky.app/profile/{did}/post/{key}"


def _hashtag(row: Row) -> Line:
    now, before = row["post_count"], row["previous_post_count"]
    return (f"#{row['hashtag']}: {_counted(now, 'post')}, the week before {before:,}",)


def _linked(row: Row) -> Line:
    people = _counted(row["author_count"], "person", "people")
    return (link(_words(row["title"]) or row["link_uri"], row["link_uri"]), f" ({row['domain']}): by {people}")


def _people(rows: list[Row]) -> tuple[Line, ...]:
    return _first((_person(row["did"], row["handle"]),) for row in rows)


def _follow(row: Row) -> Line:
    follower = _person(row["follower_did"], row["follower_handle"])
    return (follower, " follows ", _person(row["followed_did"], row["followed_handle"]))


def _outside(row: Row) -> Line:
    return (_person(row["did"], row["handle"]), f": followed by {row['follower_count']:,} of us")


def _person(did: str, handle: str | None) -> str | Link:
    known = handle if handle != "handle.invalid" else None
    return link(known or "somebody", f"https://bsky.app/profile/{did}")


def _first(lines: Iterable[Line]) -> tuple[Line, ...]:
    known = tuple(lines)
    more = len(known) - MOST_NAMED
    return (*known[:MOST_NAMED], (f"and {more:,} more",)) if more > 0 else known


def _troubles(health: Row) -> Iterable[Line]:
    failed, gaps = health["failed_member_count"], health["gap_count"] or 0
    in_doubt = health["in_doubt_post_count"] + health["in_doubt_repost_count"]
    if failed:
        yield (f"{_counted(failed, 'feed')} could not be read, and will be asked for again",)
    if gaps:
        yield (f"{_counted(gaps, 'gap')} in what was read",)
    if in_doubt:
        yield (f"{_counted(in_doubt, 'post or repost', 'posts and reposts')} in doubt, and not counted",)


def _counted(count: int, one: str, more: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else more or f'{one}s'}"
