"""Pages that are not as they should be: none ends a run, and whatever can be read is kept, byte for byte."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pipelines.lake.tables import AUTHOR_FEED
from pipelines.network.appview import AppView
from pipelines.network.pacing import Pacer
from pipelines.sample.appview.views import Views
from pipelines.sources.rows import arrow_table, feed_item_row, microseconds, profile_row
from tests.network.scripted_server import Reply
from tests.seeds import seeds
from tests.sources.member_feed import MEMBER, NOW, MemberFeed, Walked

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipelines.sample.world.world import World
    from tests.network.scripted_server import ScriptedServer

Json = dict[str, Any]

ITEM: Json = {
    "post": {
        "uri": "at://did:plc:somebody/app.bsky.feed.post/3k",
        "cid": "bafy",
        "author": {
            "did": "did:plc:somebody",
            "handle": "somebody.test",
            "displayName": "S",
            "labels": [{"val": "bot"}],
        },
        "record": {
            "$type": "app.bsky.feed.post",
            "text": "Grüße 🦆",
            "createdAt": "2026-03-01T10:00:00.000Z",
            "langs": ["de", "en"],
            "tags": ["data"],
            "facets": [
                {
                    "index": {"byteStart": 0, "byteEnd": 3},
                    "features": [{"$type": "app.bsky.richtext.facet#tag", "tag": "data"}],
                }
            ],
            "reply": {"root": {"uri": "at://root", "cid": "r"}, "parent": {"uri": "at://parent", "cid": "p"}},
            "embed": {
                "$type": "app.bsky.embed.recordWithMedia",
                "record": {"record": {"uri": "at://quoted", "cid": "q"}},
                "media": {
                    "$type": "app.bsky.embed.external",
                    "external": {"uri": "https://x.test", "title": "T", "description": "D"},
                },
            },
            "labels": {"values": [{"val": "graphic-media"}]},
        },
        "indexedAt": "2026-03-01T10:00:01.000Z",
        "likeCount": 1,
        "repostCount": 2,
        "replyCount": 3,
        "quoteCount": 4,
        "bookmarkCount": 5,
        "labels": [{"src": "did:plc:labeler", "val": "spam"}],
    },
    "reason": {
        "$type": "app.bsky.feed.defs#reasonRepost",
        "uri": "at://did:plc:member/app.bsky.feed.repost/3r",
        "indexedAt": "2026-03-01T12:00:00.000Z",
    },
}
"""An item with a value in every column but `media`."""

EMBED_COLUMNS = {"embed_type", "quoted_uri", "link_uri", "link_title", "link_description"}
COLUMNS_OF_PATH: dict[str, set[str]] = {
    "post.uri": {"post_uri"},
    "post.cid": {"post_cid"},
    "post.author.did": {"author_did"},
    "post.author.handle": {"author_handle"},
    "post.author.displayName": {"author_display_name"},
    "post.author.labels": {"author_labels"},
    "post.author": {"author_did", "author_handle", "author_display_name", "author_labels"},
    "post.record.text": {"text"},
    "post.record.createdAt": {"created_at"},
    "post.record.langs": {"langs"},
    "post.record.tags": {"tags"},
    "post.record.facets": {"facets"},
    "post.record.reply.root.uri": {"reply_root_uri"},
    "post.record.reply.parent": {"reply_parent_uri"},
    "post.record.reply": {"reply_root_uri", "reply_parent_uri"},
    "post.record.embed.$type": {"embed_type"},
    "post.record.embed.record": {"quoted_uri"},
    "post.record.embed.record.record": {"quoted_uri"},
    "post.record.embed.record.record.uri": {"quoted_uri"},
    "post.record.embed.media": {"link_uri", "link_title", "link_description"},
    "post.record.embed.media.external": {"link_uri", "link_title", "link_description"},
    "post.record.embed.media.external.title": {"link_title"},
    "post.record.embed": EMBED_COLUMNS,
    "post.record.labels.values": {"self_labels"},
    "post.record.labels": {"self_labels"},
    "post.indexedAt": {"post_indexed_at"},
    "post.likeCount": {"like_count"},
    "post.bookmarkCount": {"bookmark_count"},
    "post.labels": {"labels"},
    "reason.uri": {"item_uri"},
    "reason.indexedAt": {"item_at", "item_indexed_at"},
}
WRONG_VALUES: tuple[Any, ...] = (True, 1.5, 7, 2**63, -(10**40), "words", [], [[]], [1], {}, {"a": {}})
RIGHT_TYPES: dict[type, Callable[[Any], bool]] = {
    str: lambda value: isinstance(value, str),
    int: lambda value: type(value) is int and abs(value) < 2**63,
    list: lambda value: value == [],
    dict: lambda value: isinstance(value, dict),
}


def row_of(item: Any) -> Json:
    raw = msgspec.Raw(item if isinstance(item, bytes) else json.dumps(item).encode())
    seen = {"member_did": MEMBER, "observed_at": microseconds(NOW)}
    [row] = arrow_table(AUTHOR_FEED, [feed_item_row(raw, NOW) | seen]).to_pylist()
    return row


def at_path(item: Json, path: str) -> tuple[Json, str]:
    *steps, last = path.split(".")
    for step in steps:
        item = item[step]
    return item, last


def changed(path: str, value: Any) -> Json:
    item: Json = json.loads(json.dumps(ITEM))
    holder, key = at_path(item, path)
    holder[key] = value
    return item


@pytest.mark.parametrize("path", COLUMNS_OF_PATH)
def test_a_value_that_does_not_fit_costs_its_own_columns_and_is_named(path: str) -> None:
    whole = row_of(ITEM)
    holder, key = at_path(ITEM, path)
    fits = RIGHT_TYPES[type(holder[key])]
    is_time = path.endswith("At")
    for value in WRONG_VALUES:
        if fits(value) and not is_time:
            continue
        row = row_of(changed(path, value))
        expected = whole | dict.fromkeys(COLUMNS_OF_PATH[path]) | {"raw": json.dumps(changed(path, value))}
        issues = row.pop("issues")
        assert row == {name: expected[name] for name in row}, value
        assert any(issue.startswith(f"$.{path}") for issue in issues), value


@pytest.mark.parametrize("path", [*COLUMNS_OF_PATH, "post", "post.record", "reason"])
def test_a_value_that_is_missing_or_null_costs_its_own_columns_and_nothing_more(path: str) -> None:
    item = changed(path, None)
    without: Json = json.loads(json.dumps(ITEM))
    holder, key = at_path(without, path)
    del holder[key]
    for row in (row_of(item), row_of(without)):
        assert {column for column in COLUMNS_OF_PATH.get(path, ()) if row[column] is not None} == set()
        assert row["issues"] in (None, ["$: no URI"])


def test_elements_that_do_not_fit_are_left_out_of_their_lists() -> None:
    row = row_of(changed("post.record.langs", ["de", 5, None, "en"]))
    assert row["langs"] == ["de", "en"]
    assert row["issues"] == ["$.post.record.langs[1]: Expected `str | null`, got `int`"]
    facets = [None, 5, {"index": "here", "features": [{"$type": "x.test#y"}, 7]}, {"features": None}]
    row = row_of(changed("post.record.facets", facets))
    assert row["facets"] == [{"feature": "x.test#y", "value": None, "byte_start": None, "byte_end": None}]
    assert [issue.partition(":")[0] for issue in row["issues"]] == [
        "$.post.record.facets[1]",
        "$.post.record.facets[2].index",
        "$.post.record.facets[2].features[1]",
    ]


@pytest.mark.parametrize("reason", [5, "repost", [], {"uri": "at://r"}, {"$type": 5, "uri": "at://r"}])
def test_an_item_whose_reason_cannot_be_read_is_nobodys_own_post(reason: Any) -> None:
    row = row_of(changed("reason", reason))
    assert row["reason_type"] == "unknown"
    assert row["item_uri"] is None
    assert row["post_uri"] == ITEM["post"]["uri"]


@pytest.mark.parametrize("depth", [10, 300, 480, 700, 980, 1_200, 20_000])
@pytest.mark.parametrize("text", [b"\\ud83e", b"\xff", b"fine"])
def test_depth_and_odd_text_together_cost_no_row(depth: int, text: bytes) -> None:
    item = json.dumps(ITEM).encode()
    raw = b'{"deep":' + deep(depth) + b',"odd":"' + text + b'",' + item[1:]
    row = row_of(raw)
    assert row["raw"] == raw.decode(errors="replace")
    assert row["text"] == ITEM["post"]["record"]["text"] or row["issues"], "what is not read is named"
    if depth <= 300:
        assert row["text"] == ITEM["post"]["record"]["text"]


def test_a_list_of_many_wrong_elements_does_not_hold_up_a_run() -> None:
    row = row_of(changed("post.record.langs", list(range(3_000))))
    assert row["langs"] is None
    assert row["text"] == ITEM["post"]["record"]["text"]


# Pages as a whole. What is done to them either leaves their brackets and strings alone, or breaks them.


def deep(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


def swap_a_value(dice: random.Random, item: bytes) -> bytes:
    content = json.loads(item)
    holder, key = random_place(dice, content)
    holder[key] = dice.choice((None, True, -1, 2.5, 10**30, "", "x" * 3_000, [], {}, [None], {"uri": 5}))
    return json.dumps(content, ensure_ascii=dice.random() < 0.5).encode()


def delete_a_value(dice: random.Random, item: bytes) -> bytes:
    content = json.loads(item)
    holder, key = random_place(dice, content)
    del holder[key]
    return json.dumps(content).encode()


def random_place(dice: random.Random, content: Json) -> tuple[Any, Any]:
    holder: Any = content
    while True:
        key = dice.choice(list(holder)) if isinstance(holder, dict) else dice.randrange(len(holder))
        if not holder[key] or not isinstance(holder[key], dict | list) or dice.random() < 0.2:
            return holder, key
        holder = holder[key]


def nest_deeply(dice: random.Random, item: bytes) -> bytes:
    depth = dice.choice((50, 400, 480, 700, 990, 1_100, 20_000))
    return (
        b'{"deep":' + deep(depth) + b"," + item[1:]
        if dice.random() < 0.5
        else replace_a_string(dice, item, deep(depth))
    )


def replace_a_string(dice: random.Random, item: bytes, by: bytes) -> bytes:
    content = json.loads(item)
    holder, key = random_place(dice, content)
    holder[key] = "HERE IT COMES"
    return json.dumps(content).encode().replace(b'"HERE IT COMES"', by)


def write_a_huge_number(dice: random.Random, item: bytes) -> bytes:
    numbers = (b"9" * 400, b"-" + b"9" * 5_000, b"1e999", b"-1e-999", b"0.1" + b"0" * 500, b"NaN", b"-Infinity")
    return replace_a_string(dice, item, dice.choice(numbers))


def write_odd_text(dice: random.Random, item: bytes) -> bytes:
    texts = (b"\\ud83e", b"\\udd86\\ud83e", b"\\u0000", b"\x00", b"\x1f\n", b"\xff\xfe", b"\xed\xa0\x80", b"\xc3")
    return replace_a_string(dice, item, b'"odd ' + dice.choice(texts) + b' text"')


def double_a_key(dice: random.Random, item: bytes) -> bytes:
    return item[:-1] + dice.choice((b',"post":null}', b',"post":{},"post":5}', b',"reason":[],"reason":{}}'))


def replace_the_item(dice: random.Random, item: bytes) -> bytes:
    return dice.choice((b"{}", b'{"post":{"post":{}}}', b"{ \t\n}"))


def flip_bytes(dice: random.Random, item: bytes) -> bytes:
    flipped = bytearray(item)
    for _ in range(dice.choice((1, 1, 2, 8))):
        flipped[dice.randrange(len(flipped))] ^= 1 << dice.randrange(8)
    return bytes(flipped)


def cut_bytes_out(dice: random.Random, item: bytes) -> bytes:
    start = dice.randrange(len(item))
    return item[:start] + item[start + dice.choice((1, 5, 200)) :]


KEEPS_BRACKETS = (
    swap_a_value,
    delete_a_value,
    nest_deeply,
    write_a_huge_number,
    write_odd_text,
    double_a_key,
    replace_the_item,
)
BREAKS_BRACKETS = (flip_bytes, cut_bytes_out)


def walk_over(feed: MemberFeed, body: bytes) -> Walked:
    feed.odd = lambda cursor, page: Reply(body)
    return feed.walk()


def readable(items: Sequence[bytes]) -> Counter[str]:
    return Counter(item.decode(errors="replace") for item in items)


@pytest.fixture
def bad_feed(scripted_server: ScriptedServer) -> MemberFeed:
    feed = MemberFeed(scripted_server, [])
    feed.appview = AppView(scripted_server.url, Pacer(100_000), max_attempts=1, timeout=5)
    return feed


@pytest.fixture(scope="session")
def good_items(world: World) -> list[bytes]:
    views = Views(world.on(5))
    return [
        bytes(views.feed_item(item))
        for name in ("bia", "wei", "chidi")
        for item in views.day.feed(world.actor(name).did)
    ]


@pytest.mark.parametrize("seed", seeds(10, by_default=2))
def test_bad_items_cost_no_other_item_and_keep_their_bytes(
    bad_feed: MemberFeed, good_items: list[bytes], seed: int
) -> None:
    dice = random.Random(seed)
    for _ in range(120):
        items = dice.sample(good_items, 4)
        for index in dice.sample(range(4), dice.choice((1, 1, 2, 4))):
            items[index] = dice.choice(KEEPS_BRACKETS)(dice, items[index])
        body = b'{"feed": [' + b" ,\n".join(items) + b"]}"
        walked = walk_over(bad_feed, body)
        assert Counter(row["raw"] for row in walked.rows) == readable(items), body
        assert walked.pull["outcome"] == "ok", body


@pytest.mark.parametrize("seed", seeds(10, by_default=2))
def test_a_broken_page_costs_no_item_before_the_break(bad_feed: MemberFeed, good_items: list[bytes], seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(80):
        items = dice.sample(good_items, 4)
        broken = dice.randrange(4)
        items[broken] = dice.choice(BREAKS_BRACKETS)(dice, items[broken])
        walked = walk_over(bad_feed, b'{"feed":[' + b",".join(items) + b"]}")
        rows = Counter(row["raw"] for row in walked.rows)
        assert rows >= readable(items[:broken])
        assert walked.pull["outcome"] in ("ok", "failed")
        if walked.pull["outcome"] == "ok":
            # A broken item may have swallowed the one after it; its bytes are kept even so.
            kept = "".join(rows)
            assert all(item in kept for item in readable(items[broken + 1 :])), walked.pull
        else:
            assert walked.pull["error"]


def test_a_page_that_is_cut_off_gives_the_items_before_the_cut_and_fails(
    bad_feed: MemberFeed, good_items: list[bytes]
) -> None:
    dice = random.Random(1)
    for _ in range(60):
        items = dice.sample(good_items, 4)
        body = b'{"cursor":"more","feed":[' + b",".join(items) + b"]}"
        cut = dice.randrange(len(body) - 1)
        walked = walk_over(bad_feed, body[:cut])
        complete = [item for index, item in enumerate(items) if 25 + len(b",".join(items[: index + 1])) <= cut]
        assert Counter(row["raw"] for row in walked.rows) >= readable(complete)
        assert walked.pull["outcome"] == "failed"


@pytest.mark.parametrize("seed", seeds(4, by_default=1))
def test_whatever_happens_to_a_page_the_walk_ends_with_an_outcome(
    bad_feed: MemberFeed, good_items: list[bytes], seed: int
) -> None:
    dice = random.Random(seed)
    for _ in range(60):
        body = b'{"cursor":"more","feed":[' + b",".join(dice.sample(good_items, 3)) + b"]}"
        for _ in range(dice.randint(1, 20)):
            body = dice.choice(BREAKS_BRACKETS)(dice, body) or b"{"
        assert walk_over(bad_feed, body).pull["outcome"] in ("ok", "failed")


def test_a_bad_link_of_a_profile_leaves_the_others() -> None:
    links = [
        {"url": "https://x.test/", "title": 7, "labels": [{"val": "spam"}, "spam"]},
        "https://x.test/",
        {"title": "No address"},
    ]
    row = profile_row(msgspec.Raw(json.dumps({"did": MEMBER, "links": links}).encode()), NOW)
    assert row["links"] == [
        {"url": "https://x.test/", "title": None, "labels": ["spam"]},
        {"url": None, "title": "No address", "labels": None},
    ]
    assert [issue.partition(":")[0] for issue in row["issues"]] == [
        "$.links[0].title",
        "$.links[0].labels[1]",
        "$.links[1]",
    ]


@pytest.mark.parametrize(("links", "expected"), [(None, None), ([], []), (["https://x.test/"], None), ("none", None)])
def test_a_profile_without_readable_links_has_none(links: object, expected: object) -> None:
    row = profile_row(msgspec.Raw(json.dumps({"did": MEMBER, "links": links}).encode()), NOW)
    assert row["links"] == expected
