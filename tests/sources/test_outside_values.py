"""No value from outside spoils more than its own column: what cannot be right is null, and named in `issues`."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.events.event_json import read_frame, read_legacy_event
from pipelines.events.repo_event import RepoEvent
from pipelines.lake.tables import AUTHOR_FEED, PROFILES, REPO_EVENTS
from pipelines.sources.repo_events import event_row
from pipelines.sources.rows import arrow_table, feed_item_row, microseconds, profile_row

NOW = datetime(2026, 3, 2, 23, tzinfo=UTC)
MEMBER = "did:plc:membermembermembermemb"
URI = f"at://{MEMBER}/app.bsky.feed.post/3kaaaaaaaaaaa"
COUNTS = st.one_of(st.integers(-5, 5), st.integers(2**53 - 2, 2**53 + 2), st.integers(-(2**70), 2**70))
AHEAD = st.one_of(
    st.timedeltas(timedelta(days=-30), timedelta(days=3)),
    st.timedeltas(timedelta(days=1, seconds=-2), timedelta(days=1, seconds=2)),
    st.timedeltas(timedelta(days=3), timedelta(days=2_000_000)),
)


def raw(content: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(content))


def as_json(text: str) -> msgspec.Raw:
    return msgspec.Raw(text.encode())


def item(post: dict[str, Any], created_at: datetime, **more: Any) -> msgspec.Raw:
    record = {"$type": "app.bsky.feed.post", "text": "x", "createdAt": created_at.isoformat()}
    return raw({"post": {"uri": URI, "author": {"did": MEMBER}, "record": record, **post}, **more})


@given(count=COUNTS)
def test_a_count_that_cannot_be_one_is_null_and_named(count: int) -> None:
    fits = 0 <= count < 2**53
    seen = {"member_did": MEMBER, "observed_at": microseconds(NOW)}
    post = as_json(f'{{"post":{{"uri":"{URI}","likeCount":{count},"replyCount":7}}}}')
    [row] = arrow_table(AUTHOR_FEED, [feed_item_row(post, NOW) | seen]).to_pylist()
    assert (row["like_count"], row["reply_count"]) == (count if fits else None, 7)
    assert fits == (row["issues"] is None)
    assert fits or "$.post.likeCount" in row["issues"][0]
    [profile] = arrow_table(
        PROFILES, [profile_row(as_json(f'{{"did":"{MEMBER}","postsCount":{count}}}'), NOW)]
    ).to_pylist()
    assert profile["posts_count"] == (count if fits else None)


@given(created=AHEAD, indexed=AHEAD)
def test_a_time_beyond_a_day_ahead_is_null_and_named_and_the_order_stays_the_feeds(
    created: timedelta, indexed: timedelta
) -> None:
    [created_at, indexed_at] = (NOW + ahead for ahead in (created, indexed))
    row = feed_item_row(item({"indexedAt": indexed_at.isoformat()}, created_at), NOW)
    for column, path, ahead in (
        ("created_at", "$.post.record.createdAt", created),
        ("post_indexed_at", "$.post.indexedAt", indexed),
    ):
        fits = ahead <= timedelta(days=1)
        assert row[column] == (microseconds(NOW + ahead) if fits else None)
        assert fits != any(issue.startswith(f"{path}: ") for issue in row["issues"] or ())
    if indexed <= timedelta(days=1):
        assert row["item_at"] == microseconds(min(created_at, indexed_at)), "a feed is ordered by the earlier of both"
    else:
        assert row["item_at"] is None


@given(ahead=AHEAD)
def test_a_repost_that_is_said_to_be_of_the_future_has_no_place(ahead: timedelta) -> None:
    reason = {"$type": "app.bsky.feed.defs#reasonRepost", "uri": URI, "indexedAt": (NOW + ahead).isoformat()}
    row = feed_item_row(item({"indexedAt": NOW.isoformat()}, NOW, reason=reason), NOW)
    fits = ahead <= timedelta(days=1)
    assert row["reason_type"] == "repost"
    assert row["item_at"] == row["item_indexed_at"] == (microseconds(NOW + ahead) if fits else None)
    assert fits == (row["issues"] is None)


@given(event_ahead=AHEAD, created_ahead=AHEAD)
def test_an_event_of_the_future_happened_when_it_was_seen(event_ahead: timedelta, created_ahead: timedelta) -> None:
    record = msgspec.json.encode({"text": "x", "createdAt": (NOW + created_ahead).isoformat()})
    event = RepoEvent(
        "commit", 1, MEMBER, NOW + event_ahead, "3kaaaaaaaaaaa", "create", "app.bsky.feed.post", "3k", "bafy", record
    )
    seen = {"feed": "jetstream", "service": "x", "observed_at": microseconds(NOW)}
    [row] = arrow_table(REPO_EVENTS, [event_row(event, seen)]).to_pylist()
    ahead = [span > timedelta(days=1) for span in (event_ahead, created_ahead)]
    assert row["event_at"] == (NOW if ahead[0] else NOW + event_ahead)
    assert row["created_at"] == (None if ahead[1] else NOW + created_ahead)
    assert len(row["issues"] or ()) == sum(ahead)


@given(number=COUNTS)
def test_a_number_of_a_stream_that_cannot_be_one_moves_it_nowhere(number: int) -> None:
    fits = 0 <= number < 2**53
    payload = f'"seq":{number},"did":"{MEMBER}","rev":"3k","operation":"delete","collection":"x.y.z","rkey":"r"'
    frame = f'{{"payload":{{"$type":"x#commit",{payload}}}}}'.encode()
    legacy = f'{{"did":"{MEMBER}","time_us":{number},"kind":"account","account":{{}}}}'.encode()
    for event in (read_frame(frame, 7), read_legacy_event(legacy, 7)):
        assert isinstance(event, RepoEvent)
        assert (event.kind == "unreadable") != fits
        is_time_to_come = event.kind == "account" and number > (time.time() + 86_400) * 1e6
        assert event.position == (number if fits and not is_time_to_come else 7)


@pytest.mark.parametrize(("days", "moves"), [(-300, True), (0, True), (0.99, True), (1.01, False), (40_000, False)])
def test_a_stream_that_goes_by_time_does_not_jump_into_the_future(days: float, moves: bool) -> None:
    time_us = int((time.time() + days * 86_400) * 1_000_000)
    event = read_legacy_event(f'{{"did":"{MEMBER}","time_us":{time_us},"kind":"account","account":{{}}}}'.encode(), 7)
    assert event.kind == "account", "what it tells is kept"
    assert event.position == (time_us if moves else 7)


LABELS = st.lists(
    st.fixed_dictionaries(
        {
            "val": st.sampled_from(["porn", "spam"]),
            "src": st.sampled_from(["did:plc:a", "did:plc:b"]),
            "cts": st.integers(0, 3).map(lambda day: f"2026-03-0{day + 1}T00:00:00Z"),
            "neg": st.booleans(),
        }
    ),
    max_size=8,
    unique_by=lambda label: (label["val"], label["src"], label["cts"]),
)


@given(labels=LABELS)
def test_a_label_stands_unless_a_later_one_of_its_source_negates_it(labels: list[dict[str, Any]]) -> None:
    last = {(label["val"], label["src"]): label for label in sorted(labels, key=lambda label: label["cts"])}
    row = profile_row(raw({"did": MEMBER, "labels": labels}), NOW)
    assert set(row["labels"]) == {label["val"] for label in last.values() if not label["neg"]}


def test_what_an_author_says_of_a_post_is_not_negated_by_a_field_that_is_no_part_of_it() -> None:
    record = {"text": "x", "labels": {"values": [{"val": "!no-unauthenticated", "neg": True}]}}
    row = feed_item_row(raw({"post": {"uri": URI, "record": record}}), NOW)
    assert row["self_labels"] == ["!no-unauthenticated"]
