"""The same events, whichever way they come."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import confluent_kafka
import pytest

from pipelines.network.firehose import Firehose
from pipelines.network.jetstream import Jetstream, LegacyJetstream
from pipelines.network.kafka import Bridge, Kafka
from pipelines.network.webhook import Spool, Webhook
from pipelines.sample.firehose import SampleFirehose
from pipelines.sample.jetstream import SampleJetstream
from pipelines.sample.records import record
from pipelines.sample.tap import SampleTap
from pipelines.sample.truth import ACTIVE, AccountEvent, IdentityEvent, RecordEvent
from tests.live.conftest import fold, key_of, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipelines.sample.stream_events import StreamEvent
    from tests.live.conftest import Key, LiveLake, Row

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def mock_broker() -> Iterator[str]:
    cluster = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "", "log_level": 0})
    brokers = cluster.list_topics(timeout=10).brokers
    yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers.values())
    del cluster  # It lasts as long as the client that made it.


def via_jetstream(live: LiveLake, events: list[StreamEvent], folder: Path) -> None:
    del folder
    with SampleJetstream(events) as server:
        feed = Jetstream(server.url, dids=None)
        feed.cursor = 0
        live.run(feed)
        assert server.connections[0]["zstdDictionary"]


def via_jetstream_v1(live: LiveLake, events: list[StreamEvent], folder: Path) -> None:
    del folder
    with SampleJetstream(events) as server:
        feed = LegacyJetstream(server.url, dids=None)
        feed._read_until = events[0].event.at
        live.run(feed)


def via_firehose(live: LiveLake, events: list[StreamEvent], folder: Path) -> None:
    del folder
    with SampleFirehose(events) as server:
        feed = Firehose(server.url, dids=None)
        feed.cursor = 0
        live.run(feed)


def via_webhook(live: LiveLake, events: list[StreamEvent], folder: Path) -> None:
    feed = Webhook(Spool(folder / "spool.sqlite"), host="127.0.0.1", port=0, password=PASSWORD)
    with running(live, feed):
        tap = SampleTap(feed.url, PASSWORD, write=lambda event: event.jetstream_v2_payload)
        tap.push(events)
    assert sorted(tap.acknowledged) == [event.seq for event in events]


@contextmanager
def running(live: LiveLake, feed: Webhook) -> Iterator[None]:
    """Run a webhook while the block pushes to it, and until all of that is loaded."""
    with live.running(feed):
        wait_until(lambda: bool(feed.url))
        yield
        wait_until(lambda: feed.is_caught_up)


def assert_truth(folded: dict[Key, Row], events: list[StreamEvent], *, exact: timedelta = timedelta(0)) -> None:
    """What was folded is what happened in the world, each event once."""
    assert folded.keys() == {key_of(event) for event in events}
    for event in events:
        row, told = folded[key_of(event)], event.event
        assert abs(row["event_at"] - told.at) <= exact
        match told:
            case RecordEvent():
                written = told.record and record(told.record)
                assert (row["cid"], row["raw"]) == (told.cid if written else None, written)
            case IdentityEvent():
                assert row["handle"] == told.handle
            case AccountEvent():
                assert (row["is_active"], row["status"]) == (
                    told.status == ACTIVE,
                    None if told.status == ACTIVE else told.status,
                )


@pytest.mark.parametrize("deliver", [via_jetstream, via_jetstream_v1, via_firehose, via_webhook])
def test_every_feed_gives_the_worlds_events(deliver, live, world_events, tmp_path):  # type: ignore[no-untyped-def]
    deliver(live, world_events, tmp_path)
    assert_truth(live.folded(), world_events)


def test_feeds_give_equal_rows(live, world_events, tmp_path):  # type: ignore[no-untyped-def]
    """Typed columns too: a second feed of the same events changes nothing."""
    events = world_events[-2_000:]
    via_jetstream(live, events, tmp_path)
    once = live.rows()
    assert len(once) == len(events)
    via_firehose(live, events, tmp_path)
    both = live.rows()
    assert len(both) == 2 * len(events)
    by_feed = {feed: fold([row for row in both if row["feed"] == feed]) for feed in ("jetstream", "firehose")}
    assert by_feed["jetstream"] == by_feed["firehose"] == fold(both)


def test_a_topic_of_a_mock_cluster_gives_the_worlds_events(live, world_events, mock_broker):  # type: ignore[no-untyped-def]
    settings = {"bootstrap.servers": mock_broker}
    with SampleJetstream(world_events) as server:
        stream = Jetstream(server.url, dids=None)
        stream.cursor = 0
        bridge = Bridge(stream, "events", settings)
        bridge.run_until(threading.Event(), seconds=None, until_caught_up=True)
    assert bridge.sent == len(world_events)
    live.run(Kafka("events", settings))
    assert_truth(live.folded(), world_events)
    live.run(Kafka("events", settings))
    assert len(live.rows()) == len(world_events), "a second run loads nothing twice"


def test_taps_own_form_tells_the_same_commits_and_the_same_states(live, world_events, tmp_path):  # type: ignore[no-untyped-def]
    feed = Webhook(Spool(tmp_path / "spool.sqlite"), host="127.0.0.1", port=0, password=PASSWORD)
    events = world_events[-3_000:]
    with running(live, feed):
        SampleTap(feed.url, PASSWORD).push(events)
    folded = live.folded()
    commits = [event for event in events if event.kind == "commit"]
    told = {key: row for key, row in folded.items() if row["kind"] == "commit"}
    assert_truth(told, commits, exact=timedelta(seconds=1))
    last_status = {event.did: event.event.status for event in events if isinstance(event.event, AccountEvent)}
    rows = sorted((row for row in live.rows() if row["kind"] == "identity"), key=lambda row: row["position"])
    seen = {row["did"]: row["status"] or ACTIVE for row in rows if row["did"] in last_status}
    assert seen == last_status
    last_handle = {event.did: event.event.handle for event in events if isinstance(event.event, IdentityEvent)}
    assert {row["did"]: row["handle"] for row in rows if row["did"] in last_handle} == last_handle
