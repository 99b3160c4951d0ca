"""Whatever happens to a stream, every event arrives, or the gap is named."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from pipelines.network.errors import RequestRejected, ServiceUnreachable
from pipelines.network.firehose import Firehose
from pipelines.network.jetstream import Jetstream, LegacyJetstream
from pipelines.sample.firehose import SampleFirehose
from pipelines.sample.jetstream import DICTIONARY_ID, SampleJetstream
from pipelines.sample.stream_events import StreamEvent
from pipelines.sample.streams import StreamFault, StreamStrike
from tests.live.conftest import key_of, moved, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.network.repo_events import RepoEvent
    from pipelines.network.stream import Stream

HARMLESS = (StreamFault.REFUSED, StreamFault.BROKEN_OFF, StreamFault.TOO_SLOW)


@pytest.fixture
def events(world_events: list[StreamEvent]) -> list[StreamEvent]:
    return world_events[-2_000:]


@pytest.fixture(params=["jetstream", "firehose"])
def server(request: pytest.FixtureRequest, events: list[StreamEvent]) -> Iterator[SampleJetstream | SampleFirehose]:
    kind = SampleJetstream if request.param == "jetstream" else SampleFirehose
    with kind(events) as running:
        yield running


def subscription(server: SampleJetstream | SampleFirehose, *, from_start: bool = True) -> Stream:
    kind = Jetstream if isinstance(server, SampleJetstream) else Firehose
    feed = kind(server.url, dids=None, stall_seconds=0.5)
    feed.cursor = 0 if from_start else None
    if server.log:
        feed._started_at = server.log[-1].event.at  # The world's present: nothing has to be waited for behind it.
    return feed


def test_no_fault_loses_an_event_or_leaves_a_gap(server, live, events):  # type: ignore[no-untyped-def]
    server.strikes.extend(StreamStrike(fault, after) for fault in HARMLESS for after in (0, 1, 300, 3))
    server.strikes.insert(5, StreamStrike(StreamFault.SILENT, 100))
    live.run(subscription(server))
    assert live.folded().keys() == {key_of(event) for event in events}
    assert live.gaps() == []
    assert len(server.connections) >= 13


def test_a_frame_cut_in_half_is_kept_as_it_came_and_the_rest_is_read(server, live, events):  # type: ignore[no-untyped-def]
    if isinstance(server, SampleJetstream):
        server.dictionary_id = None  # Half a compressed frame would end compression, and be asked for again.
    server.strikes.append(StreamStrike(StreamFault.MALFORMED, 100))
    live.run(subscription(server))
    rows = live.rows()
    (odd,) = [row for row in rows if row["kind"] == "unreadable"]
    assert odd["raw"]
    assert odd["issues"]
    assert {key for key in live.folded() if key[0] != "unreadable"} == {key_of(event) for event in events}


def test_a_frame_that_is_too_large_is_skipped_and_named(server, live, events):  # type: ignore[no-untyped-def]
    server.strikes.extend([StreamStrike(StreamFault.OVERSIZED, 100), StreamStrike(StreamFault.OVERSIZED, 0)])
    live.run(subscription(server))
    (gap,) = live.gaps()
    assert "MiB" in gap["reason"]
    assert live.folded().keys() == {key_of(event) for event in events}


def test_a_frame_whose_compression_is_broken_is_read_without(live, events):  # type: ignore[no-untyped-def]
    with SampleJetstream(events) as server:
        server.strikes.append(StreamStrike(StreamFault.MALFORMED, 100))
        live.run(subscription(server))
        assert "zstdDictionary" in server.connections[0]
        assert "zstdDictionary" not in server.connections[-1]
    assert live.folded().keys() == {key_of(event) for event in events}


def test_a_new_dictionary_is_fetched_when_the_old_one_is_refused(live, events):  # type: ignore[no-untyped-def]
    with SampleJetstream(events[:1_000]) as server:
        feed = subscription(server)
        server.strikes.append(StreamStrike(StreamFault.BROKEN_OFF, 900))

        def rotate() -> None:
            wait_until(lambda: server.sent >= 900)
            server.dictionary_id = DICTIONARY_ID + 1
            server.log.extend(events[1_000:])

        threading.Thread(target=rotate).start()
        live.run(feed)
        used = [connection["zstdDictionary"] for connection in server.connections if "zstdDictionary" in connection]
        assert used[0] != used[-1]
    assert live.folded().keys() == {key_of(event) for event in events}


def test_a_cursor_that_is_too_old_names_the_gap(server, live, events):  # type: ignore[no-untyped-def]
    server.log[:] = events[:500]
    live.run(subscription(server))
    server.log[:] = events
    server.oldest = 800
    live.run(subscription(server, from_start=False))
    (gap,) = live.gaps()
    assert (gap["gap_from"], gap["gap_to"]) == (events[499].event.at, events[800].event.at)
    assert "too old" in gap["reason"]
    assert live.folded().keys() == {key_of(event) for event in events[:500] + events[800:]}


def test_a_service_that_numbers_anew_is_read_on(server, live, events):  # type: ignore[no-untyped-def]
    server.log[:] = events[:1_200]
    live.run(subscription(server))
    later = [StreamEvent(number, event.event) for number, event in enumerate(events[1_000:], start=1)]
    server.log[:] = later[:600]
    with live.running(subscription(server, from_start=False)) as batches:
        wait_until(lambda: batches.feed.condition == "connected")
        server.log.extend(later[600:])
        wait_until(lambda: batches.run.event_count >= len(events) - 1_200)
    assert live.folded().keys() == {key_of(event) for event in events}
    assert live.gaps() == []


def test_another_machine_behind_a_hosts_name_is_noticed_by_its_events(live, events):  # type: ignore[no-untyped-def]
    """Its numbers are others, and ours are among them: they would leave out three hundred events."""
    with SampleJetstream(events[:1_200]) as server:
        live.run(subscription(server))
        server.log[:] = [StreamEvent(event.seq - 300, event.event) for event in events]
        live.run(subscription(server, from_start=False))
    assert live.folded().keys() == {key_of(event) for event in events}
    assert live.gaps() == []


def test_a_clock_that_jumped_does_not_let_another_host_begin_in_the_future(live, events):  # type: ignore[no-untyped-def]
    events = moved(events, datetime.now(UTC) + timedelta(seconds=5) - events[1_200].event.at)
    wrong = moved(events[1_190:1_200], timedelta(days=1))
    with SampleJetstream(events[:1_190] + wrong) as first:
        live.run(subscription(first))
    with SampleJetstream([StreamEvent(7_000 + event.seq, event.event) for event in events]) as second:
        live.run(subscription(second, from_start=False))
    assert live.folded().keys() >= {key_of(event) for event in events}
    assert live.gaps() == []


def test_a_clock_that_jumped_hides_no_gap(server, live, events):  # type: ignore[no-untyped-def]
    server.log[:] = events[:490] + moved(events[490:500], timedelta(days=60))
    live.run(subscription(server))
    server.log[:] = events
    server.oldest = 800
    live.run(subscription(server, from_start=False))
    (gap,) = live.gaps()
    assert (gap["position_before"], gap["position_after"]) == (events[499].seq, events[800].seq)


def test_a_connection_that_breaks_before_its_first_event_loses_none(live, events):  # type: ignore[no-untyped-def]
    events = moved(events, datetime.now(UTC) + timedelta(seconds=5) - events[0].event.at)
    with SampleJetstream() as server:
        server.strikes.extend([StreamStrike(StreamFault.BROKEN_OFF, 0), StreamStrike(StreamFault.REFUSED)])
        with live.running(subscription(server, from_start=False)) as batches:
            wait_until(lambda: batches.feed.condition == "connected")
            server.log.extend(events)
            wait_until(lambda: batches.run.event_count == len(events))
    assert live.folded().keys() == {key_of(event) for event in events}


def test_a_firehose_goes_on_after_what_is_not_wanted_too(live, events):  # type: ignore[no-untyped-def]
    """Else whoever follows a few would be sent days of everybody's events at every reconnection."""
    with SampleFirehose(events) as server:
        feed = Firehose(server.url, dids=[events[0].did], stall_seconds=1.0)
        feed.cursor = 0
        live.run(feed)
        assert int(server.connections[-1]["cursor"][0]) == events[-1].seq - 1
    assert live.folded().keys() == {key_of(event) for event in events if event.did == events[0].did}


def test_another_host_is_read_from_the_time_of_the_last_event(live, events):  # type: ignore[no-untyped-def]
    with SampleJetstream(events[:1_200]) as first:
        live.run(subscription(first))
    renumbered = [StreamEvent(7_000 + event.seq, event.event) for event in events]
    with SampleJetstream(renumbered) as second:
        live.run(subscription(second, from_start=False))
    assert live.folded().keys() == {key_of(event) for event in events}
    assert live.gaps() == []


def test_another_relay_leaves_a_gap_that_is_named(live, events):  # type: ignore[no-untyped-def]
    with SampleFirehose(events[:1_200]) as first:
        live.run(subscription(first))
    with SampleFirehose(events[:1_500]) as second, live.running(subscription(second, from_start=False)) as batches:
        wait_until(lambda: batches.feed.condition == "connected")
        second.log.extend(events[1_500:])
        wait_until(lambda: batches.run.event_count == 500)
    (gap,) = live.gaps()
    assert (gap["gap_from"], gap["gap_to"]) == (events[1_199].event.at, events[1_500].event.at)
    assert live.folded().keys() == {key_of(event) for event in events[:1_200] + events[1_500:]}


def test_the_older_protocol_goes_on_by_time(live, events):  # type: ignore[no-untyped-def]
    with SampleJetstream(events) as server:
        server.strikes.extend(StreamStrike(StreamFault.BROKEN_OFF, after) for after in (500, 10, 600))
        feed = LegacyJetstream(server.url, dids=None, stall_seconds=1.0)
        feed._read_until, feed._started_at = events[0].event.at - timedelta(seconds=1), events[-1].event.at
        live.run(feed)
    assert live.folded().keys() == {key_of(event) for event in events}


def test_the_older_protocol_is_caught_up_though_what_it_repeats_is_all_there_is(live, events):  # type: ignore[no-untyped-def]
    begun_at = events[0].event.at
    crowd = [
        StreamEvent(number, replace(event.event, at=begun_at + timedelta(milliseconds=number)))
        for number, event in enumerate(events[:200])
    ]
    with SampleJetstream(crowd) as server:
        feed = LegacyJetstream(server.url, dids=None)
        feed._read_until = begun_at
        with live.running(feed) as batches:
            wait_until(lambda: batches.run.loaded_count >= 200)
            wait_until(lambda: feed.is_caught_up, seconds=20)
    assert live.folded().keys() == {key_of(event) for event in crowd}


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("stored", [1, 2, 4, 5, 7])
def test_a_position_within_a_commit_of_several_records_loses_none_of_them(stored, events):  # type: ignore[no-untyped-def]
    log = [StreamEvent(1 + number // 5, event.event) for number, event in enumerate(events[:20])]
    with SampleFirehose(log) as server:
        before = subscription(server)
        before.start(None)
        taken: list[RepoEvent] = []

        def is_taken() -> bool:
            delivery = before.take(stored - len(taken))
            taken.extend(delivery.events)
            return bool(len(taken) == stored)

        wait_until(is_taken)
        before.stop()
        after = subscription(server)
        after.start({"cursor": taken[-1].position, "event_at": None})

        def is_read() -> bool:
            taken.extend(after.take(100).events)
            return after.is_caught_up

        wait_until(is_read)
        after.stop()
    assert {(event.did, event.rkey, event.rev) for event in taken} == {
        (event.did, getattr(event.event, "rkey", None), getattr(event.event, "rev", None)) for event in log
    }


def test_only_what_is_wanted_is_kept_and_the_list_of_members_may_change(server, live, events):  # type: ignore[no-untyped-def]
    by_count = sorted({event.did for event in events}, key=lambda did: sum(event.did == did for event in events))
    first, second = by_count[-1], by_count[-2]
    server.log[:] = events[:1_000]
    kind = Jetstream if isinstance(server, SampleJetstream) else Firehose
    feed = kind(server.url, dids=[first], collections=["app.bsky.feed.post"])
    feed.cursor = 0

    wanted_events = [
        event
        for number, event in enumerate(events)
        if event.collection in (None, "app.bsky.feed.post")
        and (event.did == first or (event.did == second and number >= 1_000))
    ]
    of_first = sum(event.did == first and event.collection in (None, "app.bsky.feed.post") for event in events[:1_000])
    with live.running(feed) as batches:
        wait_until(lambda: batches.run.event_count == of_first)
        feed.follow([first, second])
        wait_until(lambda: len(server.connections) == 2 or isinstance(feed, Firehose))
        server.log.extend(events[1_000:])
        wait_until(lambda: batches.run.last_event_at == max(event.event.at for event in wanted_events))
    assert live.folded().keys() == {key_of(event) for event in wanted_events}


def test_a_slow_lake_makes_the_service_wait_and_loses_nothing(server, live, events, monkeypatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr("pipelines.network.stream.BUFFERED_EVENTS", 50)
    server.log[:] = events[:500]
    live.run(subscription(server))
    assert live.folded().keys() == {key_of(event) for event in events[:500]}


def test_a_service_that_cannot_be_reached_is_named_in_one_line(live, monkeypatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr("pipelines.network.stream.LONGEST_BACKOFF", 0.1)
    with pytest.raises(ServiceUnreachable, match=r"^127\.0\.0\.1:9: jetstream: [^\n]+$"):
        live.run(Jetstream("ws://127.0.0.1:9", dids=None))


def test_a_request_that_is_refused_for_good_ends_the_run(live, events):  # type: ignore[no-untyped-def]
    with SampleJetstream(events) as server, pytest.raises(RequestRejected, match="too many"):
        live.run(Jetstream(server.url, dids=None, collections=[f"com.example.c{number}" for number in range(101)]))
