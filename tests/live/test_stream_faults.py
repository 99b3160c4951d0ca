"""Whatever happens to a stream, every event arrives, or the gap is named."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from websockets.asyncio.client import connect

from pipelines.events.firehose import Firehose
from pipelines.events.jetstream import Jetstream, LegacyJetstream
from pipelines.events.repo_event import Gap
from pipelines.network.errors import RequestRejected, ServiceUnreachable
from pipelines.sample.streams.events import StreamEvent
from pipelines.sample.streams.firehose import SampleFirehose
from pipelines.sample.streams.jetstream import DICTIONARY_ID, SampleJetstream
from pipelines.sample.streams.server import StreamFault, StreamStrike
from tests.live.conftest import QUICK, key_of, moved, row_key, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pipelines.events.repo_event import RepoEvent
    from pipelines.events.stream import Stream, StreamLimits
    from tests.live.conftest import Key

HARMLESS = (StreamFault.REFUSED, StreamFault.BROKEN_OFF, StreamFault.TOO_SLOW)


@dataclass
class Reader:
    """Reads streams one after the other, each from where the last one was, and keeps what they deliver.

    Attributes:
        events: What came, in its order.
        gaps: What will not come.
    """

    events: list[RepoEvent] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    _positions: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def reading(self, feed: Stream) -> Iterator[None]:
        """Let a stream run while the block runs."""
        stored = {service: json.loads(position) for service, position in self._positions.items()}
        times = [position["event_at"] for position in stored.values() if position["event_at"]]
        feed.start(stored.get(feed.service) or ({"cursor": None, "event_at": max(times)} if times else None))
        try:
            yield
        finally:
            feed.stop()

    def take(self, feed: Stream, *, limit: int = 5_000) -> int:
        """Take what has arrived, and tell how much that was."""
        delivery = feed.take(limit)
        self.events += delivery.events
        self.gaps += delivery.gaps
        if delivery.position:
            self._positions[feed.service] = json.dumps(delivery.position)
        return len(delivery.events) + len(delivery.gaps)

    def take_until(self, feed: Stream, is_over: Callable[[], bool]) -> None:
        """Take until something has become so, and nothing is left."""

        def is_done() -> bool:
            is_last = is_over()
            return not self.take(feed) and is_last

        wait_until(is_done)

    def read(self, feed: Stream) -> None:
        """Read a stream until it has caught up."""
        with self.reading(feed):
            self.take_until(feed, lambda: feed.is_caught_up)

    @property
    def keys(self) -> set[Key]:
        """Keys of the events, but for those that could not be read."""
        rows = map(msgspec.structs.asdict, self.events)
        return {row_key(row) for row in rows if row["kind"] != "unreadable"}


@pytest.fixture
def reader() -> Reader:
    return Reader()


def keys_of(events: Sequence[StreamEvent]) -> set[Key]:
    return {key_of(event) for event in events}


@pytest.fixture
def events(world_events: list[StreamEvent]) -> list[StreamEvent]:
    return world_events[-2_000:]


@pytest.fixture(params=["jetstream", "firehose"])
def server(request: pytest.FixtureRequest, events: list[StreamEvent]) -> Iterator[SampleJetstream | SampleFirehose]:
    kind = SampleJetstream if request.param == "jetstream" else SampleFirehose
    with kind(events) as running:
        yield running


def subscription(
    server: SampleJetstream | SampleFirehose,
    *,
    from_start: bool = True,
    limits: StreamLimits = QUICK,
    stall_seconds: float = 0.5,
) -> Stream:
    kind = Jetstream if isinstance(server, SampleJetstream) else Firehose
    feed = kind(server.url, dids=None, stall_seconds=stall_seconds, limits=limits)
    if from_start:
        feed.bookmark.go_on(0)
    if server.log:
        feed.bookmark.present = server.log[-1].event.at  # The world's present: nothing has to be waited for behind it.
    return feed


def close_together(events: Sequence[StreamEvent], apart: timedelta) -> list[StreamEvent]:
    """Let events happen one after the other, so far apart."""
    begin = events[0].event.at
    return [
        StreamEvent(number, replace(event.event, at=begin + number * apart))
        for number, event in enumerate(events, start=1)
    ]


def test_no_fault_loses_an_event_or_leaves_a_gap(server, reader, events):  # type: ignore[no-untyped-def]
    server.strikes.extend(StreamStrike(fault, after) for fault in HARMLESS for after in (0, 1, 300, 3))
    server.strikes.insert(5, StreamStrike(StreamFault.SILENT, 100))
    reader.read(subscription(server))
    assert reader.keys == keys_of(events)
    assert reader.gaps == []
    assert len(server.connections) >= 13


def test_a_frame_cut_in_half_is_kept_as_it_came_and_the_rest_is_read(server, reader, events):  # type: ignore[no-untyped-def]
    if isinstance(server, SampleJetstream):
        server.dictionary_id = None  # Half a compressed frame would end compression, and be asked for again.
    server.strikes.append(StreamStrike(StreamFault.MALFORMED, 100))
    reader.read(subscription(server))
    (odd,) = [event for event in reader.events if event.kind == "unreadable"]
    assert odd.raw
    assert odd.issue
    assert reader.keys == keys_of(events)


def test_a_frame_that_is_too_large_is_skipped_and_named(server, reader, events):  # type: ignore[no-untyped-def]
    """The reader waits for the frame: a connection that it makes anew beforehand has used up the server's fault."""
    server.strikes.extend([StreamStrike(StreamFault.OVERSIZED, 100), StreamStrike(StreamFault.OVERSIZED, 0)])
    patient = replace(QUICK, quiet_seconds=60.0)
    reader.read(subscription(server, limits=patient, stall_seconds=120.0))
    (gap,) = reader.gaps
    assert "MiB" in gap.reason
    assert reader.keys == keys_of(events)


def test_a_frame_whose_compression_is_broken_is_read_without(reader, events):  # type: ignore[no-untyped-def]
    with SampleJetstream(events) as server:
        server.strikes.append(StreamStrike(StreamFault.MALFORMED, 100))
        reader.read(subscription(server))
        assert "zstdDictionary" in server.connections[0]
        assert "zstdDictionary" not in server.connections[-1]
    assert reader.keys == keys_of(events)


def test_a_new_dictionary_is_fetched_when_the_old_one_is_refused(reader, events):  # type: ignore[no-untyped-def]
    with SampleJetstream(events[:1_000]) as server:
        feed = subscription(server)
        with reader.reading(feed):
            reader.take_until(feed, lambda: len(reader.events) == 1_000)
            server.dictionary_id = DICTIONARY_ID + 1
            server.log.extend(events[1_000:])
            feed.reconnect()
            reader.take_until(feed, lambda: len(reader.events) == len(events))
        used = [connection["zstdDictionary"] for connection in server.connections if "zstdDictionary" in connection]
        assert used[0] != used[-1]
    assert reader.keys == keys_of(events)


def test_a_cursor_that_is_too_old_names_the_gap(server, reader, events):  # type: ignore[no-untyped-def]
    server.log[:] = events[:500]
    reader.read(subscription(server))
    server.log[:] = events
    server.oldest = 800
    reader.read(subscription(server, from_start=False))
    (gap,) = reader.gaps
    assert (gap.gap_from, gap.gap_to) == (events[499].event.at, events[800].event.at)
    assert "too old" in gap.reason
    assert reader.keys == keys_of(events[:500] + events[800:])


def test_a_service_that_numbers_anew_is_read_on(server, reader, events):  # type: ignore[no-untyped-def]
    server.log[:] = events[:1_200]
    reader.read(subscription(server))
    later = [StreamEvent(number, event.event) for number, event in enumerate(events[1_000:], start=1)]
    server.log[:] = later[:600]
    feed = subscription(server, from_start=False)
    with reader.reading(feed):
        reader.take_until(feed, lambda: feed.condition == "connected")
        server.log.extend(later[600:])
        reader.take_until(feed, lambda: reader.events[-1].position == later[-1].seq)
    assert reader.keys == keys_of(events)
    assert reader.gaps == []


def test_another_machine_behind_a_hosts_name_is_noticed_by_its_events(reader, events):  # type: ignore[no-untyped-def]
    """Its numbers are others, and ours are among them: they would leave out three hundred events."""
    with SampleJetstream(events[:1_200]) as server:
        reader.read(subscription(server))
        server.log[:] = [StreamEvent(event.seq - 300, event.event) for event in events]
        reader.read(subscription(server, from_start=False))
    assert reader.keys == keys_of(events)
    assert reader.gaps == []


def test_a_clock_that_jumped_does_not_let_another_host_begin_in_the_future(reader, events):  # type: ignore[no-untyped-def]
    events = moved(events, datetime.now(UTC) + timedelta(seconds=5) - events[1_200].event.at)
    wrong = moved(events[1_190:1_200], timedelta(days=1))
    with SampleJetstream(events[:1_190] + wrong) as first:
        reader.read(subscription(first))
    with SampleJetstream([StreamEvent(7_000 + event.seq, event.event) for event in events]) as second:
        reader.read(subscription(second, from_start=False))
    assert reader.keys >= keys_of(events)
    assert reader.gaps == []


def test_a_clock_that_jumped_hides_no_gap(server, reader, events):  # type: ignore[no-untyped-def]
    server.log[:] = events[:490] + moved(events[490:500], timedelta(days=60))
    reader.read(subscription(server))
    server.log[:] = events
    server.oldest = 800
    reader.read(subscription(server, from_start=False))
    (gap,) = reader.gaps
    assert (gap.position_before, gap.position_after) == (events[499].seq, events[800].seq)


def test_a_connection_that_breaks_before_its_first_event_loses_none(reader, events):  # type: ignore[no-untyped-def]
    events = moved(events, datetime.now(UTC) + timedelta(seconds=5) - events[0].event.at)
    with SampleJetstream() as server:
        server.strikes.extend([StreamStrike(StreamFault.BROKEN_OFF, 0), StreamStrike(StreamFault.REFUSED)])
        feed = subscription(server, from_start=False)
        with reader.reading(feed):
            wait_until(lambda: feed.condition == "connected")
            server.log.extend(events)
            reader.take_until(feed, lambda: len(reader.events) == len(events))
    assert reader.keys == keys_of(events)


def test_a_firehose_goes_on_after_what_is_not_wanted_too(reader, events):  # type: ignore[no-untyped-def]
    """Else whoever follows a few would be sent days of everybody's events at every reconnection."""
    with SampleFirehose(events) as server:
        feed = Firehose(server.url, dids=[events[0].did], stall_seconds=1.0, limits=QUICK)
        feed.bookmark.go_on(0)
        reader.read(feed)
        assert int(server.connections[-1]["cursor"][0]) == events[-1].seq - 1
    assert reader.keys == keys_of([event for event in events if event.did == events[0].did])


def test_another_host_is_read_from_the_time_of_the_last_event_though_its_clock_is_behind(reader, events):  # type: ignore[no-untyped-def]
    events = close_together([event for event in events if event.kind == "commit"], timedelta(seconds=1))
    with SampleJetstream(events[:1_200]) as first:
        reader.read(subscription(first))
    renumbered = [StreamEvent(7_000 + event.seq, event.event) for event in moved(events, timedelta(seconds=-30))]
    with SampleJetstream(renumbered) as second:
        reader.read(subscription(second, from_start=False))
    assert reader.keys == keys_of(events)
    assert reader.gaps == []


def test_another_relay_leaves_a_gap_that_is_named(reader, events):  # type: ignore[no-untyped-def]
    with SampleFirehose(events[:1_200]) as first:
        reader.read(subscription(first))
    with SampleFirehose(events[:1_500]) as second:
        feed = subscription(second, from_start=False)
        with reader.reading(feed):
            wait_until(lambda: feed.condition == "connected")
            second.log.extend(events[1_500:])
            reader.take_until(feed, lambda: len(reader.events) == 1_700)
    (gap,) = reader.gaps
    assert (gap.gap_from, gap.gap_to) == (events[1_199].event.at, events[1_500].event.at)
    assert reader.keys == keys_of(events[:1_200] + events[1_500:])


def test_the_older_protocol_goes_on_by_time(reader, events):  # type: ignore[no-untyped-def]
    with SampleJetstream(events) as server:
        server.strikes.extend(StreamStrike(StreamFault.BROKEN_OFF, after) for after in (500, 10, 600))
        feed = LegacyJetstream(server.url, dids=None, stall_seconds=1.0, limits=QUICK)
        feed.bookmark.go_on(None, events[0].event.at - timedelta(seconds=1))
        feed.bookmark.present = events[-1].event.at
        reader.read(feed)
    assert reader.keys == keys_of(events)


def test_the_older_protocol_is_caught_up_though_what_it_repeats_is_all_there_is(reader, events):  # type: ignore[no-untyped-def]
    begun_at = events[0].event.at
    crowd = close_together(events[:200], timedelta(milliseconds=1))
    with SampleJetstream(crowd) as server:
        feed = LegacyJetstream(server.url, dids=None, limits=QUICK)
        feed.bookmark.go_on(None, begun_at)
        reader.read(feed)
    assert reader.keys == keys_of(crowd)


@pytest.mark.parametrize("stored", [1, 2, 4, 5, 7])
def test_a_position_within_a_commit_of_several_records_loses_none_of_them(stored, reader, events):  # type: ignore[no-untyped-def]
    log = [StreamEvent(1 + number // 5, event.event) for number, event in enumerate(events[:20])]
    with SampleFirehose(log) as server:
        feed = subscription(server)
        with reader.reading(feed):
            while len(reader.events) < stored:
                reader.take(feed, limit=stored - len(reader.events))
        reader.read(subscription(server, from_start=False))
    assert reader.keys == keys_of(log)


def test_only_what_is_wanted_is_kept_and_the_list_of_members_may_change(server, reader, events):  # type: ignore[no-untyped-def]
    by_count = sorted({event.did for event in events}, key=lambda did: sum(event.did == did for event in events))
    first, second = by_count[-1], by_count[-2]
    server.log[:] = events[:1_000]
    kind = Jetstream if isinstance(server, SampleJetstream) else Firehose
    feed = kind(server.url, dids=[first], collections=["app.bsky.feed.post"], limits=QUICK)
    feed.bookmark.go_on(0)

    wanted_events = [
        event
        for number, event in enumerate(events)
        if event.collection in (None, "app.bsky.feed.post")
        and (event.did == first or (event.did == second and number >= 1_000))
    ]
    of_first = sum(event.did == first and event.collection in (None, "app.bsky.feed.post") for event in events[:1_000])
    with reader.reading(feed):
        reader.take_until(feed, lambda: len(reader.events) == of_first)
        feed.follow([first, second])
        wait_until(lambda: len(server.connections) == 2 or isinstance(feed, Firehose))
        server.log.extend(events[1_000:])
        reader.take_until(feed, lambda: feed.bookmark.cursor in (events[-1].seq, wanted_events[-1].seq))
    assert reader.keys == keys_of(wanted_events)


def test_members_who_change_while_a_connection_is_being_made_are_asked_for(reader, events, monkeypatch):  # type: ignore[no-untyped-def]
    first, second = sorted({event.did for event in events})[:2]
    with SampleJetstream(events) as server:
        feed = Jetstream(server.url, dids=[first], limits=QUICK)
        feed.bookmark.go_on(0)
        feed.bookmark.present = events[-1].event.at

        def connect_slowly(*arguments: object, **settings: object) -> object:
            feed.follow([first, second])
            return connect(*arguments, **settings)  # type: ignore[arg-type]

        monkeypatch.setattr("pipelines.events.stream.connect", connect_slowly)
        reader.read(feed)
    assert reader.keys == keys_of([event for event in events if event.did in (first, second)])


def test_a_gap_is_handed_over_though_the_stream_has_failed(reader):  # type: ignore[no-untyped-def]
    feed = Jetstream("ws://127.0.0.1:9", dids=None)
    feed._buffer.append(Gap(None, None, "the cursor was too old", 1, 5))
    feed._error = ServiceUnreachable("127.0.0.1:9", "jetstream", "", "refused")
    reader.take(feed)
    assert [gap.position_after for gap in reader.gaps] == [5]
    with pytest.raises(ServiceUnreachable):
        reader.take(feed)


def test_a_slow_lake_makes_the_service_wait_and_loses_nothing(server, reader, events):  # type: ignore[no-untyped-def]
    server.log[:] = events[:500]
    feed = subscription(server, limits=replace(QUICK, buffered_events=50))
    with reader.reading(feed):
        wait_until(lambda: len(feed._buffer) >= 50)
        while not feed.is_caught_up:
            assert len(feed._buffer) <= 50
            reader.take(feed, limit=30)
    assert [event.position for event in reader.events] == [event.seq for event in events[:500]]


def test_a_service_that_cannot_be_reached_is_named_in_one_line(reader):  # type: ignore[no-untyped-def]
    with pytest.raises(ServiceUnreachable, match=r"^127\.0\.0\.1:9: jetstream: [^\n]+$"):
        reader.read(Jetstream("ws://127.0.0.1:9", dids=None, limits=replace(QUICK, longest_backoff=0.1)))


def test_a_proxy_that_is_none_is_named_in_one_line(reader, monkeypatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("https_proxy", "nonsense://proxy.test")
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(ServiceUnreachable, match=r"^jetstream\.test: jetstream: [^\n]*nonsense[^\n]*$"):
        reader.read(Jetstream("wss://jetstream.test", dids=None))


def test_a_request_that_is_refused_for_good_ends_the_run(reader, events):  # type: ignore[no-untyped-def]
    with SampleJetstream(events) as server, pytest.raises(RequestRejected, match="too many"):
        reader.read(Jetstream(server.url, dids=None, collections=[f"com.example.c{number}" for number in range(101)]))
