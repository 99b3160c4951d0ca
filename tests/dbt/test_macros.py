"""What the macros of SQL make of values from outside, without dbt: each is an expression of one value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import Environment

from pipelines.lake.bucket import PROJECT_ROOT
from pipelines.lake.names_in_texts import LETTERS_IN_SQL
from pipelines.sample.world.ids import tid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def for_duckdb(macro: str, _package: str) -> Callable[[str], str]:
    """Return what dbt would dispatch a macro to."""
    of_duckdb: Callable[[str], str] = getattr(_MACROS, f"duckdb__{macro}")
    return of_duckdb


_JINJA = Environment(autoescape=False)
_JINJA.globals |= {"adapter": SimpleNamespace(dispatch=for_duckdb), "return": str}
_MACROS, _PUBLISHING = (
    _JINJA.from_string((PROJECT_ROOT / "dbt" / "macros" / file).read_text()).module
    for file in ("sql.sql", "publishing.sql")
)


def applied(macro: str, values: Iterable[str], *, file: object = _MACROS) -> list[Any]:
    """Apply a macro to values in DuckDB."""
    expression = (getattr(file, f"duckdb__{macro}", None) or getattr(file, macro))("value")
    with duckdb.connect() as connection:
        for name, value in LETTERS_IN_SQL.items():
            connection.execute(f"set variable {name} = $1", [value])
        rows = connection.execute(f"select {expression} from (select unnest($1) as value)", [list(values)]).fetchall()
    return [result for (result,) in rows]


DOMAINS = {
    "https://example.com": "example.com",
    "HTTPS://WWW.Example.COM:443/x?y#z": "example.com",
    "http://user:secret@example.com/": "example.com",
    "https://user@host@example.com/": "example.com",
    " https://example.com ": "example.com",
    "https://example.com./x": "example.com",
    "https://example.com\\x": "example.com",
    "https://bücher.example/": "bücher.example",
    "https://BÜCHER.example": "bücher.example",
    "https://例え。テスト/": "例え.テスト",
    "https://xn--bcher-kva.example": "xn--bcher-kva.example",
    "//example.com/x": "example.com",
    "example.com": "example.com",
    "www.example.com/x": "example.com",
    "example.com:8080/x": "example.com",
    "bücher.example?x": "bücher.example",
    "https://localhost:3000": "localhost",
    "https://[2001:db8::1]:8080/x": None,
    "https://[2001:db8::1]": None,
    "https://192.168.0.1/x": None,
    "192.168.0.1": None,
    "https://example.com:port/": None,
    "https://ex%61mple.com/": None,
    "https://": None,
    "https://./": None,
    "https:///path": None,
    "mailto:somebody@example.com": None,
    "somebody@example.com": None,
    "at://did:plc:abc/app.bsky.feed.post/3k": None,
    "did:web:example.com": None,
    "ftp://example.com": None,
    "javascript:alert(1)": None,
    "no address": None,
    "1.2": None,
    "": None,
}


def test_an_address_has_its_domain_or_none() -> None:
    assert dict(zip(DOMAINS, applied("domain_of", DOMAINS), strict=True)) == DOMAINS


@given(
    labels=st.lists(st.from_regex(r"[a-z0-9]([a-z0-9-]{0,5}[a-z0-9])?", fullmatch=True), min_size=1, max_size=3),
    top=st.from_regex(r"[a-z]{2,5}", fullmatch=True),
    around=st.tuples(
        st.sampled_from(["https://", "http://", "//", "", "https://user@"]),
        st.sampled_from(["", ".", ":80", ".:80"]),
        st.sampled_from(["", "/", "/a:b@c", "?q=//x.y", "#z"]),
    ),
)
def test_every_way_to_write_an_address_leads_to_one_domain(
    labels: list[str], top: str, around: tuple[str, str, str]
) -> None:
    host = ".".join([*labels, top])
    before, after, rest = around
    url = f"{before}{host}{after}{rest}"
    expected = host.removeprefix("www.") if labels != ["www"] else top
    [domain] = applied("domain_of", [url])
    assert domain == expected
    if "://" in url.partition("?")[0]:
        assert (urlsplit(url).hostname or "").rstrip(".") == host


@pytest.mark.parametrize(
    ("written", "tag"),
    [
        ("DuckDB", "DuckDB"),
        ("#DuckDB", "DuckDB"),
        ("\uff03DuckDB", "DuckDB"),
        ("##DuckDB", "DuckDB"),
        (" # DuckDB\u00a0", "DuckDB"),
        ("\u200bDuck\u00adDB\u2060", "DuckDB"),
        ("\ufeff#DuckDB\u200d", "DuckDB"),
        ("C#", "C#"),
        ("データ", "データ"),
        ("#\u200b", ""),
    ],
)
def test_a_tag_is_what_people_read(written: str, tag: str) -> None:
    assert applied("hashtag_of", [written]) == [tag]


NAMED = {
    "thanks @Me.co...and all": {"me.co", "@me.co"},
    "me.co. -me.co- www.me.co _me.co_ (me.co)": {"me.co", "www.me.co"},
    "@www.me.co https://bsky.app/profile/www.me.co": {"www.me.co", "@www.me.co", "bsky.app"},
    "a-me.co welcome.me.co.example": {"a-me.co", "welcome.me.co.example"},
    "https://x.test/?q=caf%E9&to=https%3A%2F%2FMe.co%2F": {"x.test", "2fme.co", "me.co"},
    "100% https%253A%252F%252Fme.co%252F %zz %": {"252fme.co", "me.co"},
    "%6De%2525252Eco m\u200bf.co \uff4d\uff47\uff0eco \U0001d426h.co %EF%BD%8Di.co": {"f.co", "8di.co"}
    | {f"m{x}.co" for x in "efghi"},
    "DID:PLC:gone": {"did:plc:gone"},
    "DID%3APLC%3Agone%FF": {"did:plc:gone"},
    "nobody e.g. 3 . 4": {"e.g"},
    "thanks to @x.co.And to y.co.and": {"x.co.and", "@x.co.and", "x.co", "@x.co", "y.co.and"},
    "Me.Co.And is another's, as al.X.Co is": {"me.co.and", "al.x.co"},
    "Hello.x.co Hi.y.co.And @Hi.z.co": {"hello.x.co", "x.co", "hi.y.co.and", "hi.y.co", "y.co", "hi.z.co", "@hi.z.co"},
    "%%36%31a.co": {"31a.co", "aa.co"},
    "me.co--you.co--": {"me.co--you.co", "me.co", "you.co"},
    "xn--me.co xn----7me.co": {"xn--me.co", "xn----7me.co"},
    "https://bsky.app/profile/me.co/x https://a.test/me.co at://me.co/y": {"bsky.app", "a.test", "me.co", "@me.co"},
    "https%3A%2F%2Fbsky.app%2Fprofile%2Fme.co": {"2fbsky.app", "2fme.co", "bsky.app", "me.co", "@me.co"},
    "": set(),
}


def test_names_in_a_text() -> None:
    found = applied("names_in", NAMED, file=_PUBLISHING)
    assert dict(zip(NAMED, map(set, found), strict=True)) == NAMED


@given(st.text() | st.lists(st.sampled_from(["%", "%f", "%25", "%e9", "me.co", "é", ".", "did:plc:a"])).map("".join))
def test_no_text_is_too_odd_to_be_looked_through_for_names(text: str) -> None:
    [found] = applied("names_in", [text.replace("\0", "")], file=_PUBLISHING)
    assert isinstance(found, list)


# The second character of a TID comes again after 2^50 microseconds, 35 years.
@given(
    begin=st.datetimes(datetime(2005, 10, 1), datetime(2040, 1, 1)),
    steps=st.lists(st.timedeltas(timedelta(hours=10), timedelta(days=20)), min_size=1, max_size=20),
    clock=st.integers(0, 1023),
)
def test_the_number_of_a_record_sorts_by_its_time(begin: datetime, steps: list[timedelta], clock: int) -> None:
    moments = [begin.replace(tzinfo=UTC) + sum(steps[:place], timedelta()) for place in range(len(steps) + 1)]
    uris = [f"at://did:plc:a/app.bsky.feed.post/{tid(moment, clock)}" for moment in moments]
    assert all(earlier < later for earlier, later in pairwise(applied("uri_sort_key", uris)))


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")) | st.text("/3lz:"), unique=True))
def test_each_text_has_a_number_of_its_own(texts: list[str]) -> None:
    numbers = applied("uri_sort_key", texts)
    assert all(0 <= number < 2**63 for number in numbers)
    assert len(set(numbers)) == len(texts)
