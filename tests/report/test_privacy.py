"""Who is not to be shown is not in the file, not even in somebody else's words."""

from __future__ import annotations

import html
import json
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from pipelines.digest.content import MOST_LETTERS, read_digest
from pipelines.digest.files import FILES, render_files
from pipelines.page.content import read_content
from tests.dbt.raw_lakes import Load, did, night, post_uri
from tests.dbt.warehouses import Warehouse, new_project
from tests.dbt_command import LEFT_OUT
from tests.spellings import spellings_of

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.world.truth import Actor
    from pipelines.sample.world.world import Day, World
    from tests.report.conftest import Published


@pytest.fixture(scope="module")
def withheld(world: World, published: Published) -> list[Actor]:
    """Whoever the world knows to have gone, left, opted out, blocked or asked not to be shown, in a pack or not."""
    day = world.on(published.day)
    lists = [pack.list for pack in world.packs]
    ever = {item.subject for members in lists for item in members.items if item.added_at <= day.now}
    now = {item.subject for members in lists for item in day.listed(members)}
    return [actor for did, actor in day.actors.items() if (did in ever and did not in now) or _is_hidden(actor, day)]


def _is_hidden(actor: Actor, day: Day) -> bool:
    profile = actor.profile(day.now)
    return not actor.is_available(day.now) or (profile is not None and "!no-unauthenticated" in profile.labels)


def in_page(text: str) -> str:
    """Write a text as it would stand in the page."""
    written = json.dumps(text, ensure_ascii=False)[1:-1]
    return written.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e")


def words_in(digest: bytes) -> str:
    """Give a file of the digest with its words as they were written."""
    return html.unescape(html.unescape(digest.decode())).replace("\\", "").replace("\u200b", "")


@pytest.fixture(scope="module")
def digest(published: Published) -> str:
    return "\n".join(words_in(published.page.with_name(name).read_bytes()) for name in FILES)


def test_people(world: World, published: Published, withheld: list[Actor], digest: str) -> None:
    page = published.page.read_text(encoding="utf-8")
    now = world.on(published.day).now
    others = {actor.handle(now) for actor in world.actors.values() if actor not in withheld}
    assert len(withheld) >= 7
    for actor in withheld:
        assert actor.did not in page + digest, actor.name
        for _, handle in actor.handles:
            assert handle in others or handle == "handle.invalid" or handle not in page + digest, actor.name
        for profile in actor.profiles:
            assert len(profile.display_name) < 8 or in_page(profile.display_name) not in page, actor.name


def test_posts(world: World, published: Published, withheld: list[Actor], digest: str) -> None:
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
    assert [text for text in hidden if in_page(text) in page or " ".join(text.split())[:MOST_LETTERS] in digest] == []
    for uri in deleted:
        assert uri.rpartition("/")[2] not in page + digest


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


HANDLES: dict[str, Any] = {"brief": "me.co", "unseen": None}

MOVED = "moved.bsky.test"
"""A handle that somebody withheld had, and somebody else has now."""


NAMED = [f"{letter}{'spelled' * 3}{kind}" for kind in ("aa", "bb") for letter in ascii_lowercase]
"""Members whom a file in the bucket names, each in another spelling: those of the second half by handle."""

UNSEEN = "called.unseen.test"
"""A handle that only a mention tells: its owner was gone before anybody looked."""


def names_file() -> str:
    """Name them, a line each."""
    spelled = [
        spellings_of(did(name) if name.endswith("aa") else f"{name}.test")[number % 46]
        for number, name in enumerate(NAMED)
    ]
    return "# Asked by mail.\n" + "\n".join(
        f"{' '.join(name.split())}  # {number}" for number, name in enumerate(spelled)
    )


@pytest.fixture(scope="module")
def quoting(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Warehouse:
    """A lake in which people name somebody who is withheld, in whatever they write."""
    load, at = Load("1772406000.5"), night(4)
    handles = {"gone": MOVED, "writer": "writer.test"}
    load.pack(night(2), ["writer", "gone"], handles=handles)
    load.profile("gone", night(2), handle=MOVED)
    handles = {"gone": "gone.bsky.test", "heir": MOVED}
    load.pack(at, ["writer", "gone", "heir", "fan", "brief", "unseen", *NAMED], handles=handles | HANDLES)
    load.pack(at, ["writer", "fan"], f"at://{did('gone')}/app.bsky.graph.starterpack/own", handles=handles)
    load.profile("brief", at, handle="me.co", labels=["!hide"])
    load.pull("unseen", at, outcome="not_found")
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
    for name in ("writer", "gone", "heir", "fan", "brief", *NAMED):
        load.pull(name, at)
    texts = {
        "handle": "Thank you, @Gone.bsky.test!",
        "did": "https://bsky.app/profile/DID:PLC:gone/post/1",
        "encoded": "https://bsky.app/profile/did%3Aplc%3Agone/post/1",
        "newer": "Thank you, @newer.bsky.test!",
        "stranger": f"https://bsky.app/profile/{LEFT_OUT}",
        "renamed": "As @stranger.test said",
        "spelled": f"Hello {NAMED[-1]}.test.",
        "twice": "https://x.test/?to=https%253A%252F%252Fbsky.app%252Fprofile%252Fdid%253Aplc%253Agone",
        "hidden": "Hello g\u200bone.bsky.test",
        "longer": "welcome.me.co.example, a-me.co and me.community are nobody's names here",
        "moved": f"Thank you, @{MOVED}!",
        "nobody": "Nobody at all",
        "wordless": None,
    }
    for rkey, text in texts.items():
        load.post("writer", rkey, at, night(3, 12), text=text)
    load.post("writer", "labelled", at, night(3, 12), text="A label of mine", labels=["gone.bsky.test"])
    text = f"Hello @{UNSEEN}!"
    mention = {"feature": "mention", "value": did("unseen"), "byte_start": 6, "byte_end": 7 + len(UNSEEN)}
    load.post("writer", "mention", at, night(3, 12), text=text, facets=[mention])
    for liar, claimed in {"fan": "x.test", "writer": MOVED}.items():
        lie = {"feature": "mention", "value": did("unseen"), "byte_start": 0, "byte_end": len(f"@{claimed}")}
        load.post(liar, f"lie-{liar}", at, night(3, 12), text=f"@{claimed}", facets=[lie])
    links = {
        "unseen": (f"https://bsky.app/profile/{UNSEEN}", "Somebody"),
        "short": ("https://me.co/", "Me"),
        "passed": ("https://x.test/?to=https%3A%2F%2FMe.co%2F", "Passed on"),
        "near": ("https://welcome.co/a", "Welcome"),
        "card": ("https://x.test/card", "An interview with GONE.bsky.test"),
        "address": ("https://gone.bsky.test/about", "About"),
        "plain": ("https://x.test/plain", "Plain"),
        "embed": (f"https://x.test/embed/{did('fan')}/app.bsky.feed.post/deleted", "What fan deleted"),
        "mirror": ("https://x.test/?url=https%3A%2F%2Fbsky.app%2Fprofile%2Ffan.test%2Fpost%2Fdeleted", "The same"),
        "other": (f"https://x.test/profile/{did('heir')}/post/deleted", "Another of the same key"),
    }
    load.event("fan", "post", "deleted", night(3, 14), "delete")
    for rkey, (uri, title) in links.items():
        load.post("writer", rkey, at, night(3, 13), link_uri=uri, link_title=title, tags=["Gone.bsky.test", "plain"])
    load.post("gone", "own", at, night(3, 12))
    load.post("gone", "reposted", at, night(3, 13), member="fan", repost="r", author_handle="newer.bsky.test")
    warehouse = Warehouse(new_project(tmp_path_factory.mktemp("quoting") / "project", parsed_project))
    load.write(warehouse.dataset)
    people = warehouse.dataset.parent / "people"
    people.mkdir()
    (people / "left_out.txt").write_text(names_file(), encoding="utf-8")
    handles_of = {f"{name}.test": did(name) for name in NAMED if name.endswith("bb")}
    found = {"dids": handles_of, "handles": {LEFT_OUT: ["stranger.test"]}}
    (people / "left_out.json").write_text(json.dumps(found), encoding="utf-8")
    warehouse.dbt("run")
    return warehouse


@pytest.mark.slow
def test_whoever_names_them_is_left_out_of_what_is_quoted(quoting: Warehouse) -> None:
    rkeys = ["address", "card", "embed", "lie-writer", "longer", "mirror", "moved", "near", "nobody", "other", "passed"]
    rkeys += ["plain", "short", "unseen"]
    quoted = [post_uri("writer", rkey) for rkey in [*rkeys, "wordless"]]
    for report in ("rpt_top_posts", "rpt_latest_posts"):
        assert quoting.rows(f"select distinct post_uri from {report} order by 1") == [(uri,) for uri in quoted]
    of_members = quoting.rows("select distinct post_uri from rpt_member_top_posts")
    assert of_members
    assert set(of_members) <= {(uri,) for uri in quoted}
    links = quoting.rows("select distinct link_uri from rpt_links order by 1")
    other = f"https://x.test/profile/{did('heir')}/post/deleted"
    assert links == [("https://welcome.co/a",), ("https://x.test/plain",), (other,)]
    domains = quoting.rows("select distinct domain from rpt_domains order by 1")
    assert domains == [("bsky.app",), ("welcome.co",), ("x.test",)]
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
        assert "stranger.test" not in told, report
        assert UNSEEN not in told, report
    with duckdb.connect(str(quoting.path), read_only=True) as marts:
        content = json.dumps(read_content(marts), ensure_ascii=False).lower()
        content += "".join(map(words_in, render_files(read_digest(marts)).values())).lower()
    assert "gone.bsky.test" not in content
    assert did("gone") not in content
    assert UNSEEN not in content
    assert MOVED in content


@pytest.mark.slow
def test_a_file_in_the_bucket_leaves_out_whom_it_names_in_whatever_spelling(quoting: Warehouse) -> None:
    reasons: dict[str, str] = dict(
        quoting.rows("select did, withheld_because from dim_authors where withheld_because is not null")
    )
    assert {reasons.pop(did(name), None) for name in NAMED} == {"left_out_by_setting"}
    assert reasons == {
        did("gone"): "asks_to_be_hidden",
        did("brief"): "hidden_by_moderation",
        did("unseen"): "unavailable",
    }


@pytest.mark.slow
def test_a_pack_of_somebody_withheld_has_another_name_in_reports(quoting: Warehouse) -> None:
    packs = quoting.rows("select pack_uri, published_member_count, pack_url from rpt_packs order by 1")
    assert [(uri.partition(":")[0], members, url) for uri, members, url in packs] == [
        ("all", 3, None),
        ("at", 3, None),
        ("withheld", 2, None),
    ]
    named = quoting.rows("select distinct pack_uri from rpt_activity_by_day order by 1")
    assert named == [(uri,) for uri, _, _ in packs]


@pytest.mark.slow
def test_what_is_counted_names_nobody(quoting: Warehouse) -> None:
    # A post that is not quoted is counted all the same.
    query = "select post_count from rpt_activity_by_period where pack_uri = 'all' and period = 'week'"
    assert quoting.rows(query) == [(27,)]


@pytest.mark.slow
def test_as_long_as_a_name_is_not_resolved_nobody_is_published(quoting: Warehouse) -> None:
    """The last one: it changes the warehouse."""
    with (quoting.dataset.parent / "people" / "left_out.txt").open("a", encoding="utf-8") as names:
        names.write("\nnobody-knows.example.com\n")
    quoting.dbt("run", "--select", "int_publishable_authors")
    assert quoting.rows("select count(*) from int_publishable_authors where is_publishable") == [(0,)]
