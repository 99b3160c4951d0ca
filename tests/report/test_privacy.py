"""Who is not to be shown is not in the file, not even in somebody else's words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from pipelines.page.content import read_content
from tests.dbt.raw_lakes import Load, did, night, post_uri
from tests.dbt.warehouses import Warehouse, new_project
from tests.dbt_command import LEFT_OUT

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.world.truth import Actor
    from pipelines.sample.world.world import Day, World
    from tests.report.conftest import Published


@pytest.fixture(scope="module")
def withheld(world: World, published: Published) -> list[Actor]:
    """Whoever the world knows to have gone, left, opted out, blocked or asked not to be shown."""
    day = world.on(published.day)
    lists = [pack.list for pack in world.packs]
    ever = {item.subject for members in lists for item in members.items if item.added_at <= day.now}
    now = {item.subject for members in lists for item in day.listed(members)}
    return [actor for did in ever if (actor := day.actors.get(did)) and (did not in now or _is_hidden(actor, day))]


def _is_hidden(actor: Actor, day: Day) -> bool:
    profile = actor.profile(day.now)
    return not actor.is_available(day.now) or (profile is not None and "!no-unauthenticated" in profile.labels)


def in_page(text: str) -> str:
    """Write a text as it would stand in the page."""
    written = json.dumps(text, ensure_ascii=False)[1:-1]
    return written.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def test_people(world: World, published: Published, withheld: list[Actor]) -> None:
    page = published.page.read_text(encoding="utf-8")
    now = world.on(published.day).now
    others = {actor.handle(now) for actor in world.actors.values() if actor not in withheld}
    assert len(withheld) >= 7
    for actor in withheld:
        assert actor.did not in page, actor.name
        for _, handle in actor.handles:
            assert handle in others or handle == "handle.invalid" or handle not in page, actor.name
        for profile in actor.profiles:
            assert len(profile.display_name) < 8 or in_page(profile.display_name) not in page, actor.name


def test_posts(world: World, published: Published, withheld: list[Actor]) -> None:
    page = published.page.read_text(encoding="utf-8")
    gone = {actor.did for actor in withheld}
    deleted = {row["post_uri"] for row in published.rows("select post_uri from fct_posts where is_deleted")}
    assert len(deleted) > 5
    now = world.on(published.day).now
    # A word that others wrote as well is theirs.
    kept = {
        post.text for post in world.posts if post.author not in gone and post.uri not in deleted and post.exists(now)
    }
    hidden = [
        post.text
        for post in world.posts
        if (post.author in gone or post.uri in deleted) and post.text and len(post.text) > 20 and post.text not in kept
    ]
    assert len(hidden) > 100
    assert [text for text in hidden if in_page(text) in page] == []
    for uri in deleted:
        assert uri.rpartition("/")[2] not in page


def test_no_report_names_them(world: World, published: Published, withheld: list[Actor]) -> None:
    """In no column of any report, whether or not the page shows it."""
    now = world.on(published.day).now
    others = {actor.handle(now) for actor in world.actors.values() if actor not in withheld}
    names = {actor.did for actor in withheld}
    names |= {handle for actor in withheld for _, handle in actor.handles} - others - {"handle.invalid"}
    reports = published.rows("select table_name from duckdb_tables() where starts_with(table_name, 'rpt_')")
    assert len(reports) >= 24
    for report in reports:
        told = "\n".join(str(row) for row in published.rows(f"from {report['table_name']}")).lower()
        assert [name for name in names if name.lower() in told] == [], report["table_name"]


MOVED = "moved.bsky.test"
"""A handle that somebody withheld had, and somebody else has now."""


@pytest.fixture(scope="module")
def quoting(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Warehouse:
    """A lake in which people name somebody who is withheld, in whatever they write."""
    load, at = Load("1772406000.5"), night(4)
    handles = {"gone": MOVED, "writer": "writer.test"}
    load.pack(night(2), ["writer", "gone"], handles=handles)
    load.profile("gone", night(2), handle=MOVED)
    handles = {"gone": "gone.bsky.test", "heir": MOVED}
    load.pack(at, ["writer", "gone", "heir", "fan"], handles=handles)
    load.profile("gone", at, handle="gone.bsky.test", labels=["!no-unauthenticated"])
    load.profile("heir", at, handle=MOVED)
    own_links = (
        ("https://x.test/plain", "Plain"),
        ("https://x.test/title", "I and GONE.bsky.test"),
        ("https://bsky.app/profile/DID:PLC:gone", None),
        ("https://x.test/untitled", None),
        ("http://x.test/no-tls", "No TLS"),
        ("javascript:alert(1)", "No web"),
        (None, "No address"),
    )
    links_of_writer: list[dict[str, Any]] = [{"url": url, "title": title, "labels": []} for url, title in own_links]
    links_of_writer.append({"url": "https://x.test/spam", "title": "Spam", "labels": ["spam"]})
    load.profile("writer", at, display_name="Writer", description="I know gone.bsky.test", links=links_of_writer)
    load.profile("fan", at, display_name="Fan of Gone.Bsky.Test", description="Nothing else")
    for name in ("writer", "gone", "heir", "fan"):
        load.pull(name, at)
    texts = {
        "handle": "Thank you, @Gone.bsky.test!",
        "did": "https://bsky.app/profile/DID:PLC:gone/post/1",
        "encoded": "https://bsky.app/profile/did%3Aplc%3Agone/post/1",
        "newer": "Thank you, @newer.bsky.test!",
        "stranger": f"https://bsky.app/profile/{LEFT_OUT}",
        "moved": f"Thank you, @{MOVED}!",
        "nobody": "Nobody at all",
        "wordless": None,
    }
    for rkey, text in texts.items():
        load.post("writer", rkey, at, night(3, 12), text=text)
    links = {
        "card": ("https://x.test/card", "An interview with GONE.bsky.test"),
        "address": ("https://gone.bsky.test/about", "About"),
        "plain": ("https://x.test/plain", "Plain"),
    }
    for rkey, (uri, title) in links.items():
        load.post("writer", rkey, at, night(3, 13), link_uri=uri, link_title=title, tags=["Gone.bsky.test", "plain"])
    load.post("gone", "own", at, night(3, 12))
    load.post("gone", "reposted", at, night(3, 13), member="fan", repost="r", author_handle="newer.bsky.test")
    warehouse = Warehouse(new_project(tmp_path_factory.mktemp("quoting") / "project", parsed_project))
    load.write(warehouse.dataset)
    warehouse.dbt("run")
    return warehouse


@pytest.mark.slow
def test_whoever_names_them_is_left_out_of_what_is_quoted(quoting: Warehouse) -> None:
    quoted = [post_uri("writer", rkey) for rkey in ("address", "card", "moved", "nobody", "plain", "wordless")]
    for report in ("rpt_top_posts", "rpt_latest_posts"):
        assert quoting.rows(f"select distinct post_uri from {report} order by 1") == [(uri,) for uri in quoted]
    assert quoting.rows("select distinct link_uri from rpt_links") == [("https://x.test/plain",)]
    assert quoting.rows("select distinct domain from rpt_domains") == [("x.test",)]
    assert quoting.rows("select distinct hashtag from rpt_hashtags") == [("plain",)]
    assert set(quoting.rows("select did, handle, display_name, description from rpt_members")) == {
        (did("writer"), "writer.test", "Writer", None),
        (did("heir"), MOVED, None, None),
        (did("fan"), "fan.test", None, "Nothing else"),
    }
    assert quoting.rows("select did, links from rpt_members where links is not null") == [
        (
            did("writer"),
            [
                {"url": "https://x.test/plain", "title": "Plain"},
                {"url": "https://x.test/untitled", "title": None},
            ],
        )
    ]
    for (report,) in quoting.rows("select table_name from duckdb_tables() where starts_with(table_name, 'rpt_')"):
        told = str(quoting.rows(f"from {report}")).lower()
        assert "gone.bsky.test" not in told, report
        assert "newer.bsky.test" not in told, report
        assert did("gone") not in told, report
        assert LEFT_OUT not in told, report
    with duckdb.connect(str(quoting.path), read_only=True) as marts:
        content = json.dumps(read_content(marts), ensure_ascii=False).lower()
    assert "gone.bsky.test" not in content
    assert did("gone") not in content
    assert MOVED in content


@pytest.mark.slow
def test_what_is_counted_names_nobody(quoting: Warehouse) -> None:
    # A post that is not quoted is counted all the same.
    query = "select post_count from rpt_activity_by_period where pack_uri = 'all' and period = 'week'"
    assert quoting.rows(query) == [(11,)]
