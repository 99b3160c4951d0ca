"""The same events, whichever way they come."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import confluent_kafka
import pytest

from pipelines.events import kafka, kafka_bridge
from pipelines.events.firehose import Firehose
from pipelines.events.jetstream import Jetstream, LegacyJetstream
from pipelines.events.kafka import Kafka
from pipelines.events.kafka_bridge import Bridge
from pipelines.events.kafka_client import Reader
from pipelines.events.repo_event import Delivery
from pipelines.events.spool import Spool
from pipelines.events.webhook import Webhook
from pipelines.network.errors import ServiceFailed
from pipelines.sample.streams.events import StreamEvent
from pipelines.sample.streams.firehose import SampleFirehose
from pipelines.sample.streams.jetstream import SampleJetstream
from pipelines.sample.streams.tap import SampleTap
from pipelines.sample.world.records import record
from pipelines.sample.world.truth import ACTIVE, AccountEvent, IdentityEvent, RecordEvent
from tests.live.conftest import QUICK, fold, key_of, mock_cluster, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipelines.events.repo_event import Gap
    from pipelines.events.stream import Stream
    from pipelines.sample.streams.server import StreamServer
    from tests.live.conftest import Key, LiveLake, Row

PASSWORD = "correct horse"


def from_start(feed: Stream, events: list[StreamEvent], *, cursor: int = 0) -> Stream:
    """Let a stream begin with its oldest event, and have caught up with its newest."""
    feed.bookmark.go_on(cursor)
    return until(feed, events)


def via_jetstream(live: LiveLake, events: list[StreamEvent], folder: Path) -> None:
    del folder
    with SampleJetstream(events) as server:
        live.run(from_start(Jetstream(server.url, dids=None, limits=QUICK), events))
        assert server.connections[0]["zstdDictionary"]


def via_firehose(live: LiveLake, events: list[StreamEvent], folder: Path) -> None:
    del folder
    with SampleFirehose(events) as server:
        live.run(from_start(Firehose(server.url, dids=None, limits=QUICK), events))


def via_webhook(live: LiveLake, events: list[StreamEvent], folder: Path) -> None:
    feed = Webhook(Spool(folder / "spool.sqlite"), host="127.0.0.1", port=0, password=PASSWORD)
    with running(live, feed):
        tap = SampleTap(feed.url, PASSWORD, write=lambda event: event.jetstream_v2_payload)
        half = len(events) // 2
        tap.push(events[:half], historical=True)
        tap.push(events[half:])
    assert sorted(tap.acknowledged) == [event.seq for event in events]


def via_kafka_on_a_mock_cluster(live: LiveLake, events: list[StreamEvent], folder: Path) -> None:
    """Bridged from a Jetstream into a topic, and read from there; what was read is not read again."""
    del folder
    with mock_cluster() as settings:
        with SampleJetstream(events) as server:
            stream = from_start(Jetstream(server.url, dids=None, limits=QUICK), events)
            assert bridge(stream, "events", settings) == len(events)
        for _ in range(2):
            live.run(Kafka("events", settings))


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


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.slow)])
def test_every_feed_gives_the_same_rows_the_worlds_events(count, live, world_events, tmp_path):  # type: ignore[no-untyped-def]
    """Typed columns too: to whoever folds them, another feed of the same events changes nothing."""
    events = world_events[-count:]
    assert len(events) == count
    feeds = (via_jetstream, via_firehose, via_webhook, via_kafka_on_a_mock_cluster)
    for deliver in feeds:
        deliver(live, events, tmp_path)
    rows = live.rows()
    assert len(rows) == count * len(feeds), "none twice"
    folded = fold(rows)
    assert_truth(folded, events)
    for feed in ("jetstream", "firehose", "webhook", "kafka"):
        assert fold([row for row in rows if row["feed"] == feed]) == folded


def test_the_older_jetstream_gives_the_worlds_events(live, world_events):  # type: ignore[no-untyped-def]
    events = world_events[-1_000:]
    with SampleJetstream(events) as server:
        live.run(from_start(LegacyJetstream(server.url, dids=None, limits=QUICK), events, cursor=events[0].time_us))
    assert_truth(live.folded(), events)


def bridge(stream: Stream, topic: str, settings: dict[str, str]) -> int:
    """Bridge all that a stream has, without any gap, and tell how many events that were."""
    gaps: list[Gap] = []
    made = Bridge(stream, topic, settings)
    made.run_until(threading.Event(), seconds=None, until_caught_up=True, on_gap=gaps.append)
    assert gaps == []
    return made.sent


def until(feed: Stream, events: list[StreamEvent]) -> Stream:
    """Let a stream have caught up with the newest of these events."""
    feed.bookmark.present = events[-1].event.at
    return feed


def test_a_bridge_to_a_mock_cluster_goes_on_after_its_first_batch_on_another_host_too(live, world_events):  # type: ignore[no-untyped-def]
    events = world_events[100:700]
    renumbered = [StreamEvent(7_000 + event.seq, event.event) for event in world_events[:700]]
    with mock_cluster() as settings:
        with SampleJetstream(world_events[:300]) as server:
            bridge(
                from_start(Jetstream(server.url, dids=None, limits=QUICK), events[:200], cursor=100),
                "bridged",
                settings,
            )
            server.log.extend(events[200:400])
            # Somebody else's message, without any value.
            other = confluent_kafka.Producer({**settings, "log_level": 0})
            other.produce("bridged", None, partition=0)
            other.flush()
            # What was sent says where it was: nobody else does.
            bridge(until(Jetstream(server.url, dids=None, limits=QUICK), events[:400]), "bridged", settings)
        with SampleJetstream(renumbered[:600]) as server:
            bridge(until(Jetstream(server.url, dids=None, limits=QUICK), events[:500]), "bridged", settings)
            server.log.extend(renumbered[600:])
            bridge(until(Jetstream(server.url, dids=None, limits=QUICK), events), "bridged", settings)
        live.run(Kafka("bridged", settings))
    # Another host is read from a minute before.
    keys = {key_of(event) for event in events}
    assert_truth({key: row for key, row in live.folded().items() if key in keys}, events)


def test_a_bridge_that_is_told_to_stop_does_not_wait_for_a_mock_cluster_that_has_died(world_events, monkeypatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(kafka_bridge, "LAST_SECONDS", 0.1)
    with SampleJetstream(world_events[:200]) as server, ThreadPoolExecutor(1) as thread:
        with mock_cluster() as settings:
            made = Bridge(from_start(Jetstream(server.url, dids=None, limits=QUICK), world_events), "events", settings)
            is_over = threading.Event()
            running = thread.submit(made.run_until, is_over, seconds=None, until_caught_up=False, on_gap=print)
            wait_until(lambda: made.sent == 200)
        server.log.extend(world_events[200:300])
        wait_until(lambda: "refused" in (made.trouble or ""))
        is_over.set()
        with pytest.raises(ServiceFailed, match=r"last 100 events: the next run sends them again \(.*refused"):
            running.result(20)
    assert made.sent == 200


@contextmanager
def topic_on_a_mock_cluster(events: list[StreamEvent]) -> Iterator[Kafka]:
    """Give the feed of a topic of four partitions, the first of which has all events."""
    with mock_cluster() as settings:
        producer = confluent_kafka.Producer({**settings, "log_level": 0})
        for event in events:
            producer.produce("events", event.jetstream_v2_payload, partition=0)
        producer.flush()
        feed = Kafka("events", settings)
        try:
            yield feed
        finally:
            feed.stop()


def test_a_topic_goes_on_at_its_offsets_where_a_broker_tells_no_id_as_the_mock_cluster(world_events):  # type: ignore[no-untyped-def]
    with topic_on_a_mock_cluster(world_events[:10]) as feed:
        feed.start({"0": 7, "topic_id": "known before"})
        taken = take(feed, 3)
    assert [event.position for event in taken.events] == [7, 8, 9]
    assert taken.gaps == []
    assert taken.position == {"0": 10, "1": 0, "2": 0, "3": 0, "topic_id": "known before"}


def take(feed: Kafka, count: int) -> Delivery:
    """Take so many events, and all that comes with them."""
    taken: list[Delivery] = []

    def is_taken() -> bool:
        taken.append(feed.take(100))
        return sum(len(delivery.events) for delivery in taken) >= count and feed.is_caught_up

    wait_until(is_taken)
    positions = [delivery.position for delivery in taken if delivery.position]
    events = [event for delivery in taken for event in delivery.events]
    return Delivery(events, [gap for delivery in taken for gap in delivery.gaps], positions[-1])


def test_a_topic_that_is_being_made_anew_as_on_this_mock_cluster_is_read_when_it_is_known_what_it_has(  # type: ignore[no-untyped-def]
    world_events, monkeypatch
):
    monkeypatch.setattr(kafka, "NEW_PARTITIONS_SECONDS", 0.0)
    partitions = Reader.partitions
    with topic_on_a_mock_cluster(world_events[:10]) as feed:
        feed.start({"0": 7, "topic_id": "of then"})
        monkeypatch.setattr(Reader, "topic_id", lambda _: "of now")
        monkeypatch.setattr(Reader, "partitions", lambda *_: [])
        before = take(feed, 3)
        monkeypatch.setattr(Reader, "partitions", partitions)
        after = take(feed, 10)
    assert [event.position for event in before.events] == [7, 8, 9]
    assert before.gaps == []
    assert [event.position for event in after.events] == list(range(10))
    assert ["made anew" in gap.reason for gap in after.gaps] == [True]
    assert after.position == {"0": 10, "1": 0, "2": 0, "3": 0, "topic_id": "of now"}


def test_taps_own_form_tells_the_same_commits_and_the_same_states(live, world_events, tmp_path):  # type: ignore[no-untyped-def]
    feed = Webhook(Spool(tmp_path / "spool.sqlite"), host="127.0.0.1", port=0, password=PASSWORD)
    events = world_events[-1_000:]
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


@pytest.mark.parametrize(
    ("kind", "sample"), [(Jetstream, SampleJetstream), (LegacyJetstream, SampleJetstream), (Firehose, SampleFirehose)]
)
def test_a_stream_goes_by_the_services_clock_where_this_machines_is_wrong(
    kind: type[Stream], sample: type[StreamServer], world_events: list[StreamEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    a_year = timedelta(days=365)
    monkeypatch.setattr(
        "aiohttp.web_response.rfc822_formatted_time", lambda: format_datetime(datetime.now(UTC) + a_year, usegmt=True)
    )
    with sample(world_events[-3:]) as server:
        feed = kind(server.url, dids=None, limits=QUICK)  # type: ignore[call-arg]
        assert feed.clock() < datetime.now(UTC) + timedelta(seconds=1)
        feed.start({"cursor": 0, "cursor_at": None, "event_at": None})
        wait_until(lambda: bool(feed.take(1).events))
        feed.stop()
    assert feed.bookmark.present
    for time in (feed.bookmark.present, feed.clock()):
        assert abs(time - datetime.now(UTC) - a_year) < timedelta(minutes=1)
