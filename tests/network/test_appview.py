"""The AppView's pages, asked of the sample network; damaged ones, of a server that sends what it is told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.network.appview import (
    AccountDeactivated,
    AccountSuspended,
    ActorNotFound,
    AppView,
    FeedPage,
    RecordNotFound,
    ServiceFailed,
)
from pipelines.network.pacing import Pacer
from pipelines.network.salvage import SavedPage, save_page
from tests.network.scripted_server import Reply, ScriptedServer, json_reply

if TYPE_CHECKING:
    import msgspec

    from pipelines.sample.appview.server import SampleServer

ITEMS = [{"post": {"uri": f"at://did:plc:a/app.bsky.feed.post/{n}", "text": 'é "}], {[', "n": n}} for n in range(3)]


@pytest.fixture
def sample(sample_server: SampleServer) -> AppView:
    return AppView(sample_server.url, Pacer(1_000), backoff=0.001)


def uris(items: list[msgspec.Raw]) -> list[str]:
    return [json.loads(bytes(item))["uri"] for item in items]


def walk(appview: AppView, actor: str) -> list[FeedPage]:
    pages = [appview.feed_page(actor)]
    while pages[-1].cursor is not None:
        pages.append(appview.feed_page(actor, pages[-1].cursor))
    return pages


def test_a_pack_leads_to_its_list_and_the_list_to_its_members(sample: AppView, sample_server: SampleServer) -> None:
    pack = sample_server.world.packs[0]
    view = json.loads(bytes(sample.starter_pack(pack.uri)))
    pages = list(sample.list_pages(view["list"]["uri"]))

    assert view["uri"] == pack.uri
    members = {json.loads(bytes(item))["subject"]["did"] for page in pages for item in page.items}
    assert len(members) >= 25
    assert all(json.loads(bytes(page.list))["uri"] == view["list"]["uri"] for page in pages)
    profiles = [profile for batch in batches(sorted(members)) for profile in sample.profiles(batch)]
    assert {json.loads(bytes(profile))["did"] for profile in profiles} == members


def batches(dids: list[str]) -> list[list[str]]:
    return [dids[start : start + 25] for start in range(0, len(dids), 25)]


def test_a_feed_is_the_same_in_pages_of_a_hundred(sample: AppView, sample_server: SampleServer) -> None:
    actor = max(sample_server.world.actors, key=lambda did: len(sample_server.world.on(1).feed(did)))
    pages = walk(sample, actor)

    assert len(pages) > 1
    assert all(len(page.feed) <= 100 for page in pages)
    keys = [item_key(item) for page in pages for item in page.feed]
    assert len(keys) == len(set(keys))
    feed_requests = [asked for asked in sample_server.requests if asked.nsid == "app.bsky.feed.getAuthorFeed"]
    assert {asked.params["limit"] for asked in feed_requests} == {"100"}


def item_key(item: msgspec.Raw) -> str:
    content = json.loads(bytes(item))
    key: str = content["reason"]["uri"] if "reason" in content else content["post"]["uri"]
    return key


def test_the_unavailable_are_told_apart_by_their_profile(sample: AppView, sample_server: SampleServer) -> None:
    day = sample_server.world.on(1)
    by_status = {actor.status(day.now): actor.did for actor in day.actors.values()}
    kinds = {"deactivated": AccountDeactivated, "suspended": AccountSuspended, "deleted": ActorNotFound}
    for status, kind in kinds.items():
        with pytest.raises(ActorNotFound):
            sample.feed_page(by_status[status])
        with pytest.raises(kind):
            sample.profile(by_status[status])


def test_what_does_not_exist_is_named(sample: AppView) -> None:
    with pytest.raises(RecordNotFound, match="Starter pack not found"):
        sample.starter_pack("at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/app.bsky.graph.starterpack/abc")
    with pytest.raises(RecordNotFound, match="List not found"):
        list(sample.list_pages("at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/app.bsky.graph.list/abc"))
    with pytest.raises(ActorNotFound, match=r"nobody\.example"):
        sample.resolve_handle("nobody.example")


def test_more_than_25_profiles_or_posts_at_once_are_refused_before_they_are_asked(appview: AppView) -> None:
    for ask in (appview.profiles, appview.posts):
        with pytest.raises(ValueError, match="25"):
            ask(["did:plc:a"] * 26)
        assert ask([]) == []
    assert appview.stats.requests == 0


def feed(cursor: Any = None, **more: Any) -> Reply:
    return json_reply({"feed": ITEMS, **({} if cursor is None else {"cursor": cursor}), **more})


def test_items_keep_the_bytes_they_were_served_with(server: ScriptedServer, appview: AppView) -> None:
    odd = b'{ "post":{"text":"\\u00e9 \xc3\xa9",\n "likeCount": 1.0e2, "x":null} }'
    server.answer_in_turn(Reply(b'{"feed": [ ' + odd + b' , {}], "cursor":"c"}'))
    page = appview.feed_page("a.example")
    assert [bytes(item) for item in page.feed] == [odd, b"{}"]
    assert (page.cursor, page.is_cursor_broken) == ("c", False)


@pytest.mark.parametrize("cursor", ["", None])
def test_an_empty_cursor_is_none(server: ScriptedServer, appview: AppView, cursor: str | None) -> None:
    server.answer_in_turn(json_reply({"feed": ITEMS, "cursor": cursor}))
    page = appview.feed_page("a.example")
    assert (page.cursor, page.is_cursor_broken) == (None, False)


@pytest.mark.parametrize("cursor", [7, {"next": "x"}, ["x"], True])
def test_a_cursor_of_another_type_does_not_take_the_items_with_it(
    server: ScriptedServer, appview: AppView, cursor: Any
) -> None:
    server.answer_in_turn(feed(cursor))
    page = appview.feed_page("a.example")
    assert len(page.feed) == len(ITEMS)
    assert (page.cursor, page.is_cursor_broken) == (None, True)


BAD_ITEMS = {
    "half of a surrogate pair": b'{"post":{"text":"\\ud800"}}',
    "no UTF-8": b'{"post":{"text":"\xff\xfe"}}',
    "no number": b'{"post":{"likeCount":NaN}}',
    "a control character": b'{"post":{"text":"a\x01b"}}',
    "an escape that is none": b'{"post":{"text":"\\x"}}',
    "too deep": b'{"post":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
}


@pytest.mark.parametrize("bad", BAD_ITEMS)
def test_one_bad_item_does_not_take_the_page_with_it(server: ScriptedServer, appview: AppView, bad: str) -> None:
    good = json.dumps(ITEMS[0]).encode()
    server.answer_in_turn(Reply(b'{"cursor": "c", "feed":[' + good + b", " + BAD_ITEMS[bad] + b"," + good + b"]}"))
    page = appview.feed_page("a.example")
    assert [bytes(item) for item in page.feed] == [good, BAD_ITEMS[bad], good]
    assert (page.cursor, page.is_cursor_broken) == ("c", False)


def test_one_bad_item_does_not_take_a_list_or_profiles_with_it(server: ScriptedServer, appview: AppView) -> None:
    bad = BAD_ITEMS["half of a surrogate pair"]
    server.answer_in_turn(Reply(b'{"profiles": [{"did":"a"},' + bad + b"]}"))
    assert [bytes(profile) for profile in appview.profiles(["a", "b"])] == [b'{"did":"a"}', bad]
    server.answer_in_turn(Reply(b'{"posts": [' + bad + b',{"uri":"b"}]}'))
    assert [bytes(post) for post in appview.posts(["a", "b"])] == [bad, b'{"uri":"b"}']
    server.answer_in_turn(Reply(b'{"list": {"uri":"x"}, "items": [{"uri":"a"},' + bad + b"]}"))
    [page] = appview.list_pages("x")
    assert ([bytes(item) for item in page.items], bytes(page.list)) == ([b'{"uri":"a"}', bad], b'{"uri":"x"}')
    server.answer_in_turn(Reply(b'{"starterPack": ' + bad + b"}"))
    assert bytes(appview.starter_pack("x")) == bad


def test_a_list_that_is_cut_gives_its_members_and_then_fails(server: ScriptedServer, appview: AppView) -> None:
    body = json_reply({"list": {"uri": "x"}, "items": [{"uri": "a"}, {"uri": "b"}], "cursor": "c"}).body
    server.answer_in_turn(Reply(body[: body.index(b'"b"')]))
    pages = appview.list_pages("x")
    assert [bytes(item) for item in next(pages).items] == [b'{"uri": "a"}']
    with pytest.raises(ServiceFailed, match="cut off"):
        next(pages)


def test_profiles_or_posts_that_are_cut_are_none(server: ScriptedServer, appview: AppView) -> None:
    server.answer_in_turn(Reply(b'{"profiles": [{"did":"a"},{"did":'))
    with pytest.raises(ServiceFailed):
        appview.profiles(["a", "b"])
    server.answer_in_turn(Reply(b'{"posts": [{"uri":"a"},{"uri":'))
    with pytest.raises(ServiceFailed):
        appview.posts(["a", "b"])


def test_a_page_that_is_always_cut_gives_the_items_before_the_cut(server: ScriptedServer, appview: AppView) -> None:
    body = feed("c").body
    server.answer_in_turn(Reply(body, cut_after=body.index(b'"n": 2')))
    page = appview.feed_page("a.example")
    assert [json.loads(bytes(item)) for item in page.feed] == ITEMS[:2]
    assert page.is_cursor_broken
    assert len(server.asked) == 5


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b'{"feed": null}', b'{"posts": []}', b'{"feed": [', b'"'])
def test_a_page_without_items_to_save_is_a_failure(server: ScriptedServer, appview: AppView, body: bytes) -> None:
    server.answer_in_turn(Reply(body))
    with pytest.raises(ServiceFailed, match=r"getAuthorFeed for a\.example"):
        appview.feed_page("a.example")


def test_an_error_page_is_never_read_as_a_feed(server: ScriptedServer, appview: AppView) -> None:
    server.answer_in_turn(Reply(feed("c").body, status=500))
    with pytest.raises(ServiceFailed):
        appview.feed_page("a.example")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
_feeds = st.lists(st.dictionaries(st.text(), _json, max_size=4), max_size=5)


@given(_feeds, st.sampled_from([None, 1, 2]), st.data())
def test_cut_anywhere_a_page_gives_the_items_before_the_cut(
    items: list[dict[str, Any]], indent: int | None, data: st.DataObject
) -> None:
    body = b'{"cursor": "c", "feed": ['
    ends: list[int] = []
    for item in items:
        body += (b", " if ends else b" ") + json.dumps(item, indent=indent).encode()
        ends.append(len(body))
    body += b"]}"
    page = save_page(body, "feed")
    assert page is not None
    assert [json.loads(bytes(item)) for item in page.items] == items
    assert page.cursor == "c"

    length = data.draw(st.integers(0, len(body) - 1))
    cut = save_page(body[:length], "feed")
    saved = [json.loads(bytes(item)) for item in cut.items] if cut else []
    assert saved == [item for item, end in zip(items, ends, strict=True) if end <= length]
    assert cut is None or cut.is_cursor_broken


@given(st.binary(max_size=200) | st.text(alphabet='{}[]",:\\ a', max_size=60).map(str.encode))
def test_no_bytes_at_all_stop_the_run(body: bytes) -> None:
    page = save_page(body, "feed")
    assert page is None or isinstance(page, SavedPage)
