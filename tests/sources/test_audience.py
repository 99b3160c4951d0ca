"""Who reacts to posts: what the lake has of it is what the service shows, and no night asks more than it may."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pipelines.lake.loads import load
from pipelines.lake.working_folder import open_pipeline, recover
from pipelines.network.appview import AppView
from pipelines.network.connect import Network
from pipelines.network.conversations import read_conversation
from pipelines.network.pacing import Pacer
from pipelines.network.repositories import Repositories
from pipelines.sample.appview.faults import Fault
from pipelines.sources.audience import DEPTH, PAGES_OF_ONE, AudienceAsker, AudiencePost, audience

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import Day
    from tests.conftest import Lake

DAY = 9
LIKES = "app.bsky.feed.getLikes"


@dataclass
class Asked:
    """What a run that asks about the audience did."""

    asker: AudienceAsker
    requests: list[Any]
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def of(self, uri: str, kind: str) -> dict[str, Any]:
        (row,) = [row for row in self.rows["audience_pulls"] if (row["subject_uri"], row["kind"]) == (uri, kind)]
        return row


def ask(
    lake: Lake,
    server: SampleServer,
    about: Sequence[AudiencePost],
    posts: Sequence[str] = (),
    dids: Sequence[str] = (),
    **settings: Any,
) -> Asked:
    server.day, now = DAY, server.world.on(DAY).now
    appview = AppView(server.url, Pacer(10_000), **lake.client)
    network = Network(appview, Repositories(appview, server.url), server.url)
    ticks = iter(range(1_000_000))
    settings = {"requests": 10_000} | settings
    asker = AudienceAsker(network, lambda: now + timedelta(milliseconds=next(ticks)), **settings)
    before = len(server.requests)
    load(recover(open_pipeline("bluesky")), audience(asker, about, posts, dids))
    tables = ("audience_pulls", "reactions", "author_feed", "profiles")
    rows = {name: lake.query(f"from {name}") if (lake.dataset / name).is_dir() else [] for name in tables}
    return Asked(asker, server.requests[before:], rows)


def reacted(day: Day) -> list[AudiencePost]:
    """What to ask about posts of a day: those with most reactions of each kind."""
    about = []
    for kind, found in (("like", day.likes), ("repost", day.reposts), ("quote", day.quotes), ("reply", day.replies)):
        shown = sorted((uri for uri in found if uri in day.posts), key=lambda uri: (-len(found[uri]), uri))
        about += [AudiencePost(uri, kind, len(found[uri])) for uri in shown[:8]]
    return about


def below(day: Day, uri: str, depth: int = DEPTH) -> Iterator[str]:
    for reply in day.replies.get(uri, ()) if depth else ():
        if not day.is_blocked(reply.author, uri.split("/")[2]):
            yield reply.uri
            yield from below(day, reply.uri, depth - 1)


def test_the_lake_has_what_the_service_shows(lake: Lake, sample_server: SampleServer) -> None:
    day = sample_server.world.on(DAY)
    about = reacted(day)
    asked = ask(lake, sample_server, about)
    uris = {kind: [each.uri for each in about if each.kind == kind] for kind in ("like", "repost", "quote", "reply")}
    truth = {(uri, "like", like.author) for uri in uris["like"] for like in day.likes[uri]}
    truth |= {(uri, "repost", repost.author) for uri in uris["repost"] for repost in day.reposts[uri]}
    assert {(row["post_uri"], row["kind"], row["actor_did"]) for row in asked.rows["reactions"]} == truth
    words = {quote.uri for uri in uris["quote"] for quote in day.quotes[uri]}
    words |= {reply for uri in uris["reply"] for reply in below(day, uri)}
    posts = asked.rows["author_feed"]
    assert {row["post_uri"] for row in posts} == words
    assert {(row["member_did"], row["reason_type"]) for row in posts} == {(row["author_did"], None) for row in posts}
    assert any(set(below(day, uri, 3)) - set(below(day, uri, 2)) for uri in uris["reply"]), "three deep"
    assert all(row["is_whole"] and row["error"] is None for row in asked.rows["audience_pulls"])
    assert (len(asked.rows["audience_pulls"]), asked.asker.problems) == (len(about), Counter())
    liked_at = {(uri, like.author): like.created_at for uri in uris["like"] for like in day.likes[uri]}
    for row in asked.rows["reactions"]:
        told = liked_at[row["post_uri"], row["actor_did"]] if row["kind"] == "like" else None
        assert row["actor_handle"] == day.actors[row["actor_did"]].handle(day.now)
        assert row["created_at"] == (told and told.replace(microsecond=told.microsecond // 1000 * 1000))


@pytest.mark.parametrize("requests", [1, 2, 7])
def test_no_more_is_asked_than_may_be(lake: Lake, sample_server: SampleServer, requests: int) -> None:
    about = reacted(sample_server.world.on(DAY))
    asked = ask(lake, sample_server, about, [about[0].uri], [about[0].uri.split("/")[2]], requests=requests)
    assert len(asked.requests) == asked.asker.budget.request_count == requests
    kinds = Counter(row["kind"] for row in asked.rows["audience_pulls"])
    assert kinds["post"] + kinds["profile"] == min(2, -(-requests // 5)), "the others have their share"
    cut = [row for row in asked.rows["audience_pulls"] if not row["is_whole"]]
    assert len(cut) <= 1
    assert not cut or "which is the most for the audience" in cut[0]["error"]
    assert asked.asker.problems == Counter(), "a spent budget is no failure"


def test_attempts_count_too(lake: Lake, sample_server: SampleServer) -> None:
    sample_server.faults.add(Fault.INTERNAL_ERROR, times=None)
    asked = ask(lake, sample_server, reacted(sample_server.world.on(DAY)), requests=4)
    assert len(asked.requests) == 4


def test_one_bad_answer_is_named_and_ends_nothing(lake: Lake, sample_server: SampleServer) -> None:
    about = [each for each in reacted(sample_server.world.on(DAY)) if each.kind == "like"][:4]
    sample_server.faults.add(Fault.LIST_MISSING, nsid=LIKES, times=5)
    asked = ask(lake, sample_server, about)
    bad, *good = [asked.of(each.uri, "like") for each in about]
    assert (bad["is_whole"], bad["item_count"]) == (False, 0)
    assert asked.asker.problems == Counter([bad["error"]])
    assert "it has no `likes`" in bad["error"]
    assert all(row["is_whole"] and row["item_count"] for row in good)


def test_a_service_that_fails_is_left_in_peace(lake: Lake, sample_server: SampleServer) -> None:
    sample_server.faults.add(Fault.INTERNAL_ERROR, times=None)
    asked = ask(lake, sample_server, reacted(sample_server.world.on(DAY)))
    assert len(asked.rows["audience_pulls"]) == 3
    assert asked.asker.problems.total() == 3


def test_a_post_that_is_gone_is_no_failure(lake: Lake, sample_server: SampleServer) -> None:
    uri = "at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/app.bsky.feed.post/3kabc"
    asked = ask(lake, sample_server, [AudiencePost(uri, "reply", 1)])
    assert asked.asker.problems == Counter()
    assert "Post not found" in asked.of(uri, "reply")["error"]


def test_of_one_post_so_many_pages_are_read(
    lake: Lake, sample_server: SampleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.network.appview.PAGE_LIMIT", 1)
    monkeypatch.setattr("pipelines.sources.audience.PAGES_OF_ONE", 2)
    likes = sample_server.world.on(DAY).likes
    most = max(likes, key=lambda uri: len(likes[uri]))
    assert PAGES_OF_ONE > len(likes[most]) > 2
    row = ask(lake, sample_server, [AudiencePost(most, "like", 0)]).of(most, "like")
    assert (row["is_whole"], row["page_count"], row["item_count"], row["error"]) == (False, 2, 2, None)


def test_what_cannot_be_read_is_named_and_never_whole(lake: Lake, sample_server: SampleServer) -> None:
    day = sample_server.world.on(DAY)
    uri = max(day.likes, key=lambda uri: len(day.likes[uri]))
    did = "did:plc:" + "b" * 24
    broken = {"createdAt": 5, "actor": {"did": did, "handle": 7}}

    def spoiled(body: bytes) -> bytes:
        page = json.loads(body)
        page["likes"][:0] = [{"actor": "nobody"}, broken] if page["likes"] else []
        return json.dumps(page).encode()

    sample_server.faults.mutate(spoiled, nsid=LIKES)
    asked = ask(lake, sample_server, [AudiencePost(uri, "like", 1)])
    assert not asked.of(uri, "like")["is_whole"]
    (row,) = [row for row in asked.rows["reactions"] if row["actor_did"] == did]
    assert sorted(issue.partition(":")[0] for issue in row["issues"]) == ["$.actor.handle", "$.createdAt"]
    assert len(asked.rows["reactions"]) == len(day.likes[uri]) + 1


def test_of_people_who_are_left_alone_nothing_is_kept(lake: Lake, sample_server: SampleServer) -> None:
    about = reacted(sample_server.world.on(DAY))
    likes = sample_server.world.on(DAY).likes
    did = likes[about[0].uri][0].author
    asked = ask(lake, sample_server, about, left_alone={did})
    assert did not in {row["actor_did"] for row in asked.rows["reactions"]}
    assert did not in {row["author_did"] for row in asked.rows["author_feed"]}
    (list_without_them,) = (
        row for row in asked.rows["audience_pulls"] if (row["kind"], row["subject_uri"]) == ("like", about[0].uri)
    )
    assert not list_without_them["is_whole"], "what is known of them stands"


def test_posts_and_people_come_as_if_a_feed_had_shown_them(lake: Lake, sample_server: SampleServer) -> None:
    day = sample_server.world.on(DAY)
    posts, dids = sorted(day.posts)[:30], sorted(day.actors)
    asked = ask(lake, sample_server, [], posts, dids)
    assert {row["post_uri"]: row["text"] for row in asked.rows["author_feed"]} == {
        uri: day.posts[uri].text for uri in posts
    }
    available = {did for did in dids if day.actors[did].is_available(day.now)}
    assert {row["did"] for row in asked.rows["profiles"]} == available
    assert len(asked.requests) == 2 + -(-len(dids) // 25)


def node(name: str, *replies: dict[str, Any], reply_count: int = 0) -> dict[str, Any]:
    return {"post": {"uri": name, "replyCount": reply_count}, "replies": list(replies)}


@pytest.mark.parametrize(
    ("thread", "found", "is_whole"),
    [
        (node("top"), [], True),
        (node("top", node("a", node("b"))), ["a", "b"], True),
        (node("top", node("a", node("b", reply_count=1))), ["a", "b"], False),
        (node("top", node("a", node("b", node("c")))), ["a", "b"], True),
        (node("top", {"uri": "x", "blocked": True}, node("a")), ["a"], False),
        (node("top", {"post": {"uri": "a"}, "replies": "none"}), [], False),
        ({"uri": "top", "notFound": True}, [], False),
    ],
)
def test_a_conversation_is_read_as_deep_as_it_was_asked_for(
    thread: dict[str, Any], found: list[str], is_whole: bool
) -> None:
    conversation = read_conversation(msgspec.Raw(msgspec.json.encode(thread)), depth=2)
    assert sorted(json.loads(bytes(post))["uri"] for post in conversation.posts) == found
    assert conversation.is_whole is is_whole
