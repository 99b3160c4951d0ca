"""Killed at any moment, under load, and started again: every event is in the lake, none twice once they are folded."""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
from typing import TYPE_CHECKING

import confluent_kafka
import pytest

from pipelines.sample.firehose import SampleFirehose
from pipelines.sample.jetstream import SampleJetstream
from pipelines.sample.tap import SampleTap
from tests.live.conftest import key_of, wait_until
from tests.live.job import kill_after, start_job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pipelines.sample.stream_events import StreamEvent

KILLS = int(os.environ.get("LIVE_KILLS", "4"))
"""Kills of each feed: `LIVE_KILLS=50` for a thorough run."""

PASSWORD = "correct horse"


@pytest.fixture
def events(world_events: list[StreamEvent]) -> list[StreamEvent]:
    return world_events[-4_000:]


def environment(**settings: str) -> dict[str, str]:
    names = {f"SOURCES__REPO_EVENTS__{name.upper()}": value for name, value in settings.items()}
    return {**os.environ, **names, "SOURCES__REPO_EVENTS__COLLECTIONS": '["app.bsky.*"]'}


def kill_often(arguments: list[str], settings: dict[str, str], folder: Path, progress: Callable[[float], None]) -> None:
    """Start the job again and again, and kill it at random moments; then let it finish."""
    dice = random.Random(20_260_302)
    batches = ["--batch-events", "300", "--batch-seconds", "0.2"]
    for kill in range(KILLS):
        progress((kill + 1) / (KILLS + 1))
        kill_after(dice.uniform(0.05, 2.0), start_job([*arguments, *batches], settings, folder / "log"))
    progress(1.0)
    last = ["kafka"] if arguments[0] == "kafka" else [*arguments, "--until-caught-up"]
    job = start_job([*last, *batches], settings, folder / "log")
    job.join(120)
    assert job.exitcode == 0, (folder / "log").read_text()[-2_000:]


@pytest.mark.parametrize("feed", ["jetstream", "firehose"])
def test_a_stream(feed, live, events, tmp_path):  # type: ignore[no-untyped-def]
    kind = SampleJetstream if feed == "jetstream" else SampleFirehose
    with kind(events[:1]) as server:
        settings = environment(**{f"{feed}_service": server.url})
        # Before the first position is in the lake, there is nothing that could be gone on from.
        first = start_job([feed, "--all"], settings, tmp_path / "log")
        wait_until(lambda: bool(server.connections))
        time.sleep(0.3)
        server.log.extend(events[1:2])
        wait_until(lambda: any((live.lake.dataset / "_dlt_loads").glob("*")))
        kill_after(0, first)
        with growing(server.log, events[2:]) as progress:
            kill_often([feed, "--all"], settings, tmp_path, progress)
    assert live.folded().keys() == {key_of(event) for event in events[1:]}


class growing:  # noqa: N801 (used as a function)
    """A log that grows while the job runs."""

    def __init__(self, log: list[StreamEvent], events: list[StreamEvent]) -> None:
        self._log, self._events, self._sent = log, events, 0
        self._until = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._grow)

    def __enter__(self) -> Callable[[float], None]:
        self._thread.start()
        return self._go_on

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def _go_on(self, share: float) -> None:
        self._until = int(len(self._events) * share)
        if share == 1.0:
            wait_until(lambda: self._sent == len(self._events))

    def _grow(self) -> None:
        while not self._is_over.is_set():
            step = min(20, self._until - self._sent)
            self._log.extend(self._events[self._sent : self._sent + step])
            self._sent += step
            self._is_over.wait(0.005)


def test_a_webhook(live, events, tmp_path):  # type: ignore[no-untyped-def]
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = environment(
        webhook_port=str(port), webhook_password=PASSWORD, webhook_spool=str(tmp_path / "spool.sqlite")
    )
    tap = SampleTap(
        f"http://127.0.0.1:{port}", PASSWORD, write=lambda event: event.jetstream_v2_payload, hurry=20, connections=8
    )
    pushing = threading.Thread(target=tap.push, args=(events,))
    pushing.start()

    def progress(share: float) -> None:
        if share == 1.0 and pushing.is_alive():
            last = start_job(["webhook", "--batch-seconds", "0.2"], settings, tmp_path / "log")
            pushing.join()
            kill_after(0, last)

    kill_often(["webhook"], settings, tmp_path, progress)
    assert sorted(tap.acknowledged) == [event.seq for event in events]
    assert live.folded().keys() == {key_of(event) for event in events}


@pytest.fixture
def mock_broker() -> Iterator[str]:
    cluster = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "", "log_level": 0})
    brokers = cluster.list_topics(timeout=10).brokers
    yield ",".join(f"{broker.host}:{broker.port}" for broker in brokers.values())
    del cluster  # It lasts as long as the client that made it.


def test_a_topic_of_a_mock_cluster(live, events, mock_broker, tmp_path):  # type: ignore[no-untyped-def]
    broker = {"bootstrap.servers": mock_broker}
    made = confluent_kafka.Producer({**broker, "log_level": 0})
    bodies = iter(events)
    sent = 0

    def progress(share: float) -> None:
        nonlocal sent
        while sent < len(events) * share:
            event = next(bodies)
            made.produce("events", event.jetstream_v2_payload, key=event.did)
            sent += 1
        made.flush()

    progress(0.01)
    settings = environment(kafka_topic="events", kafka_settings=json.dumps(broker))
    kill_often(["kafka", "--follow"], settings, tmp_path, progress)
    assert live.folded().keys() == {key_of(event) for event in events}
