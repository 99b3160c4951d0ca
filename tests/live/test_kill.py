"""Killed at any moment, under load, and started again: in the marts is every event that was sent, and none twice.

And told to stop, which loses no time either.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import confluent_kafka
import dlt
import pytest

from pipelines.sample.streams.events import StreamEvent
from pipelines.sample.streams.firehose import SampleFirehose
from pipelines.sample.streams.jetstream import SampleJetstream
from pipelines.sample.streams.tap import SampleTap
from pipelines.sample.world.truth import RecordEvent
from pipelines.sources.repo_events import stored_position
from tests.live.conftest import key_of, mock_cluster, row_key, wait_until
from tests.live.job import kill, start_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.live.conftest import Key, LiveLake

    Send = Callable[[list[StreamEvent]], None]

PASSWORD = "correct horse"
FEEDS = ("jetstream", "firehose", "webhook", "kafka")
BATCHES = ("--batch-events", "300", "--batch-seconds", "0.2")


def environment(**settings: str) -> dict[str, str]:
    names = {f"SOURCES__REPO_EVENTS__{name.upper()}": value for name, value in settings.items()}
    return {**os.environ, **names, "SOURCES__REPO_EVENTS__COLLECTIONS": '["app.bsky.*"]'}


class Killer:
    """Starts the job of a feed again and again, and kills it at random moments; then lets it finish."""

    def __init__(self, live: LiveLake, folder: Path, kills: int) -> None:
        self._lake, self._folder, self._kills = live.lake.dataset, folder, kills

    def jetstream(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """Kill `live.py jetstream`, and tell what the lake has to hold."""
        return self._stream("jetstream", SampleJetstream, events)

    def firehose(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """Kill `live.py firehose`."""
        return self._stream("firehose", SampleFirehose, events)

    def webhook(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """Kill `live.py webhook`, which Tap pushes to."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        spool = str(self._folder / "spool.sqlite")
        settings = environment(webhook_port=str(port), webhook_password=PASSWORD, webhook_spool=spool)
        tap = SampleTap(f"http://127.0.0.1:{port}", PASSWORD, write=lambda event: event.jetstream_v2_payload, hurry=20)
        self._kill_often("webhook", settings, events, tap.push)
        assert sorted(tap.acknowledged) == [event.seq for event in events]
        return events

    def kafka_on_a_mock_cluster(self, events: list[StreamEvent]) -> list[StreamEvent]:
        """Kill `live.py kafka`."""
        with mock_cluster() as broker:
            producer = confluent_kafka.Producer({**broker, "log_level": 0})

            def produce(some: list[StreamEvent]) -> None:
                for event in some:
                    producer.produce("events", event.jetstream_v2_payload, key=event.did)
                producer.flush()

            produce(events[:1])
            settings = environment(kafka_topic="events", kafka_settings=json.dumps(broker))
            self._kill_often("kafka", settings, events[1:], produce, "--follow")
        return events

    def _stream(
        self, feed: str, serve: type[SampleJetstream | SampleFirehose], events: list[StreamEvent]
    ) -> list[StreamEvent]:
        with serve(events[:1]) as server:
            settings = environment(**{f"{feed}_service": server.url})
            # Before the first position is in the lake, there is nothing that could be gone on from.
            first = start_job([feed, "--all"], settings, self._folder / f"{feed}.log")
            wait_until(lambda: bool(server.connections))
            server.log.extend(events[1:2])
            wait_until(lambda: self._loads(feed) > 0)
            kill(first)
            self._kill_often(feed, settings, events[2:], server.log.extend, "--all")
        return events[1:]

    def _kill_often(
        self, feed: str, settings: dict[str, str], events: list[StreamEvent], send: Send, *options: str
    ) -> None:
        dice, log = random.Random(feed), self._folder / f"{feed}.log"
        with sending(send, events) as send_until:
            for number in range(1, self._kills + 1):
                send_until(number / (self._kills + 1))
                loaded = self._loads(feed) + dice.randrange(3)
                job = start_job([feed, *options, *BATCHES], settings, log)
                wait_until(lambda loaded=loaded: self._loads(feed) >= loaded, at_most=5.0)  # type: ignore[misc]
                kill(job, after=dice.uniform(0.0, 0.8))
            job = start_job([feed, *options, *BATCHES], settings, log)
            send_until(1.0)
        kill(job)
        ending = [] if feed == "kafka" else ["--until-caught-up"]
        job = start_job([feed, *({*options} - {"--follow"}), *ending, *BATCHES], settings, log)
        job.join(120)
        assert job.exitcode == 0, log.read_text()[-2_000:]

    def _loads(self, feed: str) -> int:
        """Count the loads of a feed: each stores a position."""
        return len(list((self._lake / "_dlt_pipeline_state").glob(f"bluesky_{feed}__*")))


@contextmanager
def sending(send: Send, events: list[StreamEvent]) -> Iterator[Callable[[float], None]]:
    """Send events, about a hundred a second, up to the share that is asked for; if that is all, wait until they are."""
    until, sent, is_over = 0, 0, threading.Event()

    def send_until(share: float) -> None:
        nonlocal until
        until = int(len(events) * share)
        if share == 1.0:
            wait_until(lambda: sent == len(events))

    def send_some() -> None:
        nonlocal sent
        while not is_over.wait(0.02):
            if some := events[sent : until if until == len(events) else min(until, sent + 2)]:
                send(some)
                sent += len(some)

    thread = threading.Thread(target=send_some)
    thread.start()
    try:
        yield send_until
    finally:
        is_over.set()
        thread.join()


def many(events: list[StreamEvent], count: int) -> list[StreamEvent]:
    """Let the world's last events happen to other records too, until there are so many."""
    made = events[-count:]
    for copy in range(1, 10):
        more = [event.event for event in events[: count - len(made)] if isinstance(event.event, RecordEvent)]
        made += [
            StreamEvent(number, replace(event, rkey=f"{event.rkey}{copy}"))
            for number, event in enumerate(more, start=made[-1].seq + 1)
        ]
    return made


def kill_each_feed(kills: int, live: LiveLake, events: list[StreamEvent], folder: Path) -> dict[str, set[Key]]:
    """Kill four feeds into one lake, all at once, each with a quarter of the events; tell what each of them sent.

    Each is killed once more when all of its events were sent.
    """
    killer = Killer(live, folder, kills)
    runs = (killer.jetstream, killer.firehose, killer.webhook, killer.kafka_on_a_mock_cluster)
    with ThreadPoolExecutor(len(runs)) as threads:
        sent = list(threads.map(lambda number: runs[number](events[number :: len(runs)]), range(len(runs))))
    return dict(zip(FEEDS, (set(map(key_of, some)) for some in sent), strict=True))


@pytest.mark.slow
def test_what_was_killed_twice_is_in_the_lake(live, world_events, tmp_path):  # type: ignore[no-untyped-def]
    sent = kill_each_feed(1, live, many(world_events, 600), tmp_path)
    rows = live.rows()
    assert {feed: {row_key(row) for row in rows if row["feed"] == feed} for feed in FEEDS} == sent


def test_sigterm_finishes_the_batch_and_stores_the_position(live, world_events, tmp_path):  # type: ignore[no-untyped-def]
    events = world_events[-1_000:]
    with SampleJetstream() as server:
        settings = {
            **os.environ,
            "SOURCES__REPO_EVENTS__JETSTREAM_SERVICE": server.url,
            "SOURCES__REPO_EVENTS__COLLECTIONS": '["app.bsky.*"]',
        }
        job = start_job(["jetstream", "--all", "--batch-seconds", "3600"], settings, tmp_path / "log")
        wait_until(lambda: bool(server.connections))
        # The first batch does not wait; all others would, for an hour.

        def is_loading() -> bool:
            server.log.append(events[len(server.log)])
            return bool(live.rows())

        wait_until(is_loading)
        server.log.extend(events[len(server.log) :])
        wait_until(lambda: server.sent >= len(events) - 1)
        assert job.pid is not None
        for _ in range(2):  # As `uv run` and `make` do, which hand on what the job has got already.
            os.kill(job.pid, signal.SIGTERM)
            time.sleep(0.02)
        job.join(60)
    assert job.exitcode == 0, (tmp_path / "log").read_text()
    numbers = [row["position"] for row in live.rows()]
    first, taken = min(numbers), max(numbers)
    assert live.folded().keys() == {key_of(event) for event in events if first <= event.seq <= taken}
    pipeline = dlt.pipeline("bluesky_jetstream")
    pipeline.sync_destination()
    position = stored_position(pipeline, server.url.removeprefix("ws://"))
    assert position is not None
    assert position["cursor"] == taken


@pytest.mark.slow
def test_what_was_killed_sixty_times_is_in_the_marts_once(live, world_events, tmp_path):  # type: ignore[no-untyped-def]
    sent = kill_each_feed(15, live, many(world_events, 10_000), tmp_path)
    rows = live.staged()
    for feed in FEEDS:
        keys = [row_key(row) for row in rows if row["feed"] == feed]
        assert len(keys) == len(set(keys))
        assert set(keys) == sent[feed]
