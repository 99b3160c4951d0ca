"""Links and handles in every form that people paste."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.network.appview import ActorNotFound, AppView, RequestRejected
from pipelines.network.identifiers import Link, UnrecognizedLink, parse_link
from pipelines.network.pacing import Pacer
from pipelines.network.resolve import resolve_actor, resolve_list, resolve_pack

if TYPE_CHECKING:
    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World

DID = "did:plc:lc5jzrr425fyah724df3z5ik"
KEY = "3l7cddlz5ja24"

FORMS = {
    f"at://{DID}/app.bsky.graph.starterpack/{KEY}": Link("starter_pack", DID, KEY),
    f"at://Alice.Example/app.bsky.graph.starterpack/{KEY}": Link("starter_pack", "alice.example", KEY),
    f"AT://{DID}/app.bsky.graph.starterpack/{KEY}/": Link("starter_pack", DID, KEY),
    f"https://bsky.app/starter-pack/alice.example/{KEY}": Link("starter_pack", "alice.example", KEY),
    f"https://bsky.app/starter-pack/{DID}/{KEY}/": Link("starter_pack", DID, KEY),
    f"https://bsky.app/starter-pack/did%3Aplc%3Alc5jzrr425fyah724df3z5ik/{KEY}": Link("starter_pack", DID, KEY),
    f"https://bsky.app/start/{DID}/{KEY}?ref=x&y=z#top": Link("starter_pack", DID, KEY),
    f"http://www.BSKY.app/start/@Alice.Example/{KEY}": Link("starter_pack", "alice.example", KEY),
    f"  bsky.app/start/alice.example/{KEY}\n": Link("starter_pack", "alice.example", KEY),
    "https://bsky.app/starter-pack-short/AbC123": Link("short_link", key="AbC123"),
    "https://go.bsky.app/AbC123": Link("short_link", key="AbC123"),
    "https://GO.bsky.app/AbC123/?x": Link("short_link", key="AbC123"),
    "go.bsky.app/AbC123": Link("short_link", key="AbC123"),
    f"at://{DID}/app.bsky.graph.list/{KEY}": Link("list", DID, KEY),
    f"https://bsky.app/profile/alice.example/lists/{KEY}": Link("list", "alice.example", KEY),
    f"https://bsky.app/profile/{DID}/lists/{KEY}#x": Link("list", DID, KEY),
    "https://bsky.app/profile/alice.example": Link("actor", "alice.example"),
    f"https://bsky.app/profile/{DID}/": Link("actor", DID),
    "alice.example": Link("actor", "alice.example"),
    "@Alice.EXAMPLE": Link("actor", "alice.example"),
    "\u202a@alice.example\u202c ": Link("actor", "alice.example"),
    "bsky.app": Link("actor", "bsky.app"),
    DID: Link("actor", DID),
    "did:web:example.org": Link("actor", "did:web:example.org"),
    "did%3Aweb%3Aexample.org": Link("actor", "did:web:example.org"),
    f"at://{DID}": Link("actor", DID),
    "at://alice.example/": Link("actor", "alice.example"),
}

NOTHING = [
    "",
    "   ",
    "alice",
    "@",
    "alice.",
    ".example",
    "-alice.example",
    "alice.123",
    "al ice.example",
    "alice@example.org",
    f"{'a' * 64}.example",
    ".".join(["abc"] * 70),
    "did:plc:",
    "did:PLC:abc",
    "did:web:example.org:",
    "https://example.org/start/alice.example/abc",
    "https://bsky.app.example.org/start/alice.example/abc",
    "https://bsky.app/start/alice.example",
    "https://bsky.app/start/alice.example/a/b",
    "https://bsky.app/start/alice.example/..",
    "https://bsky.app/start/alice.example/a%20b",
    "https://bsky.app/start/alice/abc",
    "https://bsky.app/profile/alice.example/post/3l7cddlz5ja24",
    "https://bsky.app/",
    "https://go.bsky.app/",
    "https://go.bsky.app/a/b",
    "ftp://bsky.app/profile/alice.example",
    "https://[bsky.app/profile/alice.example",
    f"at://{DID}/app.bsky.feed.post/{KEY}",
    f"at://{DID}/app.bsky.graph.starterpack",
    "at://",
    "alice.example\nbob.example",
]


@pytest.mark.parametrize("text", FORMS)
def test_every_form_is_understood(text: str) -> None:
    assert parse_link(text) == FORMS[text]


@pytest.mark.parametrize("text", NOTHING)
def test_what_is_nothing_is_refused_in_one_line_that_names_the_forms(text: str) -> None:
    with pytest.raises(UnrecognizedLink) as caught:
        parse_link(text)
    message = str(caught.value)
    assert message.isprintable()
    assert "https://bsky.app/starter-pack/" in message
    assert len(message) < 700


@given(st.text() | st.from_regex(r"(at://|https://(go\.)?bsky\.app/)[a-z%:/?#.@-]*"))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        link = parse_link(text)
    except UnrecognizedLink:
        return
    assert link.authority or link.kind == "short_link"
    assert bool(link.key) == (link.kind != "actor")


@pytest.fixture
def sample(sample_server: SampleServer) -> AppView:
    return AppView(sample_server.url, Pacer(1_000), backoff=0.001)


def test_every_link_to_a_pack_leads_to_its_uri(world: World, sample: AppView, sample_server: SampleServer) -> None:
    pack = world.packs[0]
    day = world.on(1)
    handle = day.actors[pack.creator].handle(day.now)
    for link in (
        pack.uri,
        f"at://{handle}/app.bsky.graph.starterpack/{pack.rkey}",
        f"https://bsky.app/start/{handle.upper()}/{pack.rkey}",
        f"https://bsky.app/starter-pack/{pack.creator}/{pack.rkey}/",
        f"https://go.bsky.app/{pack.short_code}",
        f"https://bsky.app/starter-pack-short/{pack.short_code}?x",
    ):
        assert resolve_pack(link, sample, sample_server.url) == pack.uri


def test_lists_and_actors_lead_to_dids(world: World, sample: AppView) -> None:
    pack = world.packs[0]
    day = world.on(1)
    handle = day.actors[pack.creator].handle(day.now)
    expected = f"at://{pack.creator}/app.bsky.graph.list/{KEY}"
    assert resolve_list(f"https://bsky.app/profile/{handle}/lists/{KEY}", sample) == expected
    assert resolve_actor(f"@{handle}", sample) == pack.creator
    assert resolve_actor(f"https://bsky.app/profile/{handle}", sample) == pack.creator


def test_a_did_needs_no_request(sample: AppView) -> None:
    assert resolve_actor(DID, sample) == DID
    assert resolve_list(f"at://{DID}/app.bsky.graph.list/{KEY}", sample) == f"at://{DID}/app.bsky.graph.list/{KEY}"
    assert sample.stats.requests == 0


def test_a_link_of_another_kind_is_refused_by_name(sample: AppView) -> None:
    with pytest.raises(UnrecognizedLink, match=r"no starter pack: use https://bsky\.app/starter-pack/"):
        resolve_pack(f"https://bsky.app/profile/{DID}/lists/{KEY}", sample)
    with pytest.raises(UnrecognizedLink, match="no list"):
        resolve_list(f"https://bsky.app/start/{DID}/{KEY}", sample)
    with pytest.raises(UnrecognizedLink, match="no actor"):
        resolve_actor(f"https://bsky.app/start/{DID}/{KEY}", sample)


def test_what_cannot_be_resolved_is_named(sample: AppView, sample_server: SampleServer) -> None:
    with pytest.raises(ActorNotFound, match=r"nobody\.example"):
        resolve_pack(f"https://bsky.app/start/nobody.example/{KEY}", sample)
    with pytest.raises(RequestRejected, match="NoSuch"):
        resolve_pack("https://go.bsky.app/NoSuch", sample, sample_server.url)
