"""The digest: what it tells, how it is found again, and that nobody's words do anything in it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import duckdb
import feedparser
import pytest
from hypothesis import given, strategies
from markdown_it import MarkdownIt

from pipelines.digest.atom import ATOM, in_atom
from pipelines.digest.content import read_digest
from pipelines.digest.document import Digest, Line, Section, Week, link, plain
from pipelines.digest.files import CHAT, FEED, MARKDOWN, render_files
from pipelines.digest.markdown import escaped, in_markdown
from pipelines.lake.names_in_texts import names_at

if TYPE_CHECKING:
    from markdown_it.token import Token

    from tests.report.conftest import Published

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MARKS = (*"\\`*_{}[]()<>#+-.!|~:&@$=^1 \t\n", "https://a.test", "www.a.test", "a@b.test", "&lt;")
ANYTHING = strategies.lists(
    strategies.sampled_from(MARKS) | strategies.characters(exclude_categories=()), max_size=40
).map("".join)
"""Any characters, and above all those that mean something."""

HOSTILE = """\
x
# Heading
<img src=x onerror=alert(1)> </li></div>]]> ![i](https://evil.test/i) [l](https://evil.test) <https://evil.test/>
https://evil.test www.evil.test me@evil.test @everyone @channel <!channel> `code` **bold** | a | $x$ &lt; &#60;
\x1b[2J\x00\x85\u2028\u202e\ufffe\\"""


def parsed(feed: bytes) -> Any:
    read = feedparser.parse(feed)
    assert not read.bozo, read.get("bozo_exception")
    return read


def inline(written: str) -> list[Token]:
    """Give what a reader of Markdown finds in it, with what GitHub knows beyond CommonMark."""
    tokens = MarkdownIt("gfm-like").parse(written)
    return [token for block in tokens for token in [block, *(block.children or ())]]


def numbers_in(section: Section) -> list[int]:
    return [int(number.replace(",", "")) for (line,) in section.lines for number in re.findall(r"\d[\d,]*", str(line))]


def test_the_week_is_the_page_s_and_weeks_before_are_the_calendar_s(
    published: Published, reports: duckdb.DuckDBPyConnection
) -> None:
    digest, content = read_digest(reports), published.content
    newest, *before = digest.weeks
    view, kinds = content["views"][0]["week"], content["kinds"]
    posts, previous = (
        sum(sum(bars) for bars, kind in zip(view[name], kinds, strict=True) if kind != "repost")
        for name in ("bins", "previous")
    )
    summary = view["summary"]
    counted = numbers_in(newest.sections[0])
    assert counted[:4] == [posts, previous, summary["active"], summary["previous_active"]]
    assert counted[4] == summary["reactions"]
    calendar = content["calendar"][0]
    for week in before:
        start = (week.monday - date.fromisoformat(calendar["first_day"])).days
        assert numbers_in(week.sections[0])[0] == sum(calendar["posts"][max(0, start) : start + 7])
        assert week.until.date() - week.monday == timedelta(days=7)
    assert [week.monday for week in digest.weeks] == [
        newest.monday - timedelta(weeks=number) for number in range(len(digest.weeks))
    ]
    assert [section.heading for section in newest.sections] == [
        "In numbers",
        "Most reactions",
        "Liked here, written elsewhere",
        "Hashtags on the rise",
        "Links",
        "Who joined",
        "New follows",
        "Close to us, in no pack",
        "What is not well",
    ]


def test_who_reposted_counts_among_those_who_like_it(reports: duckdb.DuckDBPyConnection) -> None:
    reports.execute("update rpt_liked_here set member_count = 3, liker_count = 0, reposter_count = 3")
    written = render_files(read_digest(reports))[MARKDOWN].decode()
    assert "liked or reposted by 3 of us" in written
    assert "by 0 of us" not in written


def test_no_name_comes_of_what_is_taken_away() -> None:
    gone = [char for char in map(chr, (*range(0xD800), *range(0xE000, 0x110000))) if not plain(char)]
    assert "\u200b" in gone
    for char in gone:
        assert "a.example.com" in {found.name for found in names_at(f"a{char}.example.com")}, ascii(char)


def test_a_post_that_a_labeler_warns_of_is_in_no_digest(reports: duckdb.DuckDBPyConnection) -> None:
    for table in ("rpt_top_posts", "rpt_liked_here"):
        reports.execute(f"update {table} set labels = ['porn']")
    for written in render_files(read_digest(reports)).values():
        assert b"/post/" not in written


def test_a_reader_of_feeds_finds_each_week_again_the_next_night(reports: duckdb.DuckDBPyConnection) -> None:
    def night() -> dict[str, Any]:
        read = parsed(render_files(read_digest(reports))[FEED])
        assert read.version == "atom10"
        return {"": read.feed.id} | {entry.published[:10]: entry for entry in read.entries}

    first = night()
    assert len(first) == 5
    for _ in range(7):
        reports.execute("update rpt_data_health set newest_observed_at = newest_observed_at + interval 1 day")
        now = night()
        assert now[""] == first[""]
        shared = (now.keys() & first.keys()) - {""}
        assert len(shared) >= 3
        assert all(now[week].id == first[week].id for week in shared)
    assert len(now.keys() - first.keys()) == 1, "a week later there is one more"
    assert len({entry.id for entry in [*list(now.values())[1:], *list(first.values())[1:]]}) == 5


def test_nobody_s_words_are_more_than_words(reports: duckdb.DuckDBPyConnection) -> None:
    harmless = render_files(read_digest(reports))
    columns = reports.execute(
        "select table_name, column_name from duckdb_columns() where table_name like 'rpt_%' and column_name in"
        " ('text', 'title', 'domain', 'hashtag', 'pack_name', 'author_handle', 'handle', 'follower_handle',"
        " 'followed_handle', 'link_uri') and database_name = 'memory'"
    ).fetchall()
    assert len(columns) > 10
    for table, column in columns:
        reports.execute(f"update {table} set {column} = $1", [HOSTILE])
    hostile = render_files(read_digest(reports))
    written = hostile[MARKDOWN].decode()
    before, now = (inline(files[MARKDOWN].decode()) for files in (harmless, hostile))
    assert [token.type for token in now if token.type == "heading_open"] == [
        token.type for token in before if token.type == "heading_open"
    ]
    assert {token.type for token in now} <= {token.type for token in before} | {"text_special"}
    urls = {str(token.attrs["href"]) for token in now if token.type == "link_open"}
    assert all(url.startswith("https://bsky.app/profile/did:") for url in urls)
    assert not re.search(r"@\w|\bwww\.|[^\\]://evil", written)
    feed = parsed(hostile[FEED])
    for entry in feed.entries:
        assert not re.search("<(?!/?(div|h3|ul|li|a)[ >])", entry.content[0].value)
    assert "evil" not in hostile[CHAT].decode()
    for told in hostile.values():
        assert all(char == "\n" or char.isprintable() or char == "\u200b" for char in told.decode())


@given(ANYTHING)
def test_markdown_finds_nothing_in_words(text: str) -> None:
    for before in ("", "a", "a "):
        children = inline(f"- {before}{escaped(text)}")
        assert {token.tag for token in children} <= {"ul", "li", "p", ""}
        assert sum(token.type == "list_item_open" for token in children) == 1
        assert {token.type for token in children if not token.tag} <= {"inline", "text", "text_special"}
        shown = "".join(token.content for token in children if token.type.startswith("text"))
        assert shown.strip(" ") == f"{before}{plain(text)}".replace("@", "@\u200b").strip(" ")


@given(ANYTHING, ANYTHING)
def test_a_feed_holds_any_words_and_addresses(text: str, address: str) -> None:
    line: Line = (text, link(text, f"https://{address}"), text)
    monday = date(2026, 11, 23)
    week = Week(monday, EPOCH, text, (Section("Ours", (line,)),))
    digest = Digest("lake", text, (week,))
    feed = ElementTree.fromstring(in_atom(digest, FEED))
    (content,) = feed.iter(f"{{{ATOM}}}content")
    (item,) = ElementTree.fromstring(f"<x>{content.text}</x>").iter("li")
    assert "".join(item.itertext()) == plain(text) * 3
    (href,) = (anchor.attrib["href"] for anchor in item.iter("a"))
    assert href.isascii()
    assert not re.search(r"[\s\"<>()\[\]\\`]", href)
    assert f"]({href.replace('&', '&amp;')})" in in_markdown(digest)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "//x.test", "x.test", ""])
def test_only_addresses_of_the_web_are_links(address: str) -> None:
    assert link("words", address) == "words"


def test_a_lake_without_any_load_has_a_digest_that_says_so() -> None:
    with duckdb.connect() as marts:
        marts.execute("create view rpt_data_health as select null::timestamptz as newest_observed_at")
        files = render_files(read_digest(marts))
    assert "Nothing has been pulled yet." in files[MARKDOWN].decode()
    assert parsed(files[FEED]).entries == []
    assert files[CHAT] == b""
