"""What the tests of the live job share: the world's events, and a lake for them."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import confluent_kafka
import dlt
import duckdb
import pyarrow.parquet as pq
import pytest

from pipelines.events.stream import StreamLimits
from pipelines.lake.tables import REPO_EVENT_GAPS, REPO_EVENTS, RawTable
from pipelines.lake.working_folder import recover
from pipelines.sample.streams.events import StreamEvent
from pipelines.sample.world.days import evening
from pipelines.sources.micro_batches import BatchLimits, MicroBatches
from tests.dbt_command import run_dbt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

    from pipelines.events.repo_event import Feed
    from pipelines.sample.world.world import World
    from tests.conftest import Lake

Row = dict[str, Any]
Key = tuple[Any, ...]

QUICK: Final = StreamLimits(quiet_seconds=0.15, shortest_backoff=0.02)
"""Servers on localhost are quick to say what they have, and need not be spared."""


@pytest.fixture(scope="session")
def world_events(world: World) -> list[StreamEvent]:
    """Ten thousand events: the sample world up to its tenth day, with most of its history."""
    events = list(world.events(evening(-400), evening(10)))[-10_000:]
    return [StreamEvent(number, event) for number, event in enumerate(events, start=1)]


@dataclass
class LiveLake:
    """A lake of its own, and a live pipeline into it."""

    lake: Lake
    limits: BatchLimits = field(default_factory=lambda: BatchLimits(seconds=0.5, events=2_500))

    def run(self, feed: Feed, *, is_over: threading.Event | None = None) -> MicroBatches:
        """Load what a feed delivers, as the job does: until it has caught up, or until told to stop."""
        batches = MicroBatches(recover(dlt.pipeline(f"bluesky_{feed.name}")), feed, self.limits)
        batches.load_until(is_over or threading.Event(), seconds=None, until_caught_up=is_over is None)
        return batches

    @contextmanager
    def running(self, feed: Feed) -> Iterator[MicroBatches]:
        """Load what a feed delivers while the block runs; what was taken by then is loaded too."""
        batches = MicroBatches(recover(dlt.pipeline(f"bluesky_{feed.name}")), feed, self.limits)
        is_over = threading.Event()
        with ThreadPoolExecutor(1) as thread:
            loading = thread.submit(batches.load_until, is_over, seconds=None, until_caught_up=False)
            try:
                yield batches
            finally:
                is_over.set()
                loading.result()

    def rows(self, table: RawTable = REPO_EVENTS) -> list[Row]:
        """Read all rows of a table."""
        files = sorted((self.lake.dataset / table.name).glob("*/*.parquet"))
        columns = [*table.schema.names, "_dlt_load_id"]
        return [row for file in files for row in pq.read_table(file, columns=columns).to_pylist()]

    def staged(self) -> list[Row]:
        """Let dbt read the lake, and give the rows of `stg_bluesky__repo_events`."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DBT_TARGET_PATH", str(self.lake.folder / "target"))
            patch.setenv("DBT_LOG_PATH", str(self.lake.folder / "logs"))
            outcome = run_dbt("run", "--select=+stg_bluesky__repo_events")
        assert outcome.success, outcome.exception
        with duckdb.connect(str(self.lake.folder / "_data" / "bluesky.duckdb"), read_only=True) as warehouse:
            return warehouse.sql("from stg_bluesky__repo_events").to_arrow_table().to_pylist()

    def gaps(self) -> list[Row]:
        return self.rows(REPO_EVENT_GAPS)

    def folded(self) -> dict[Key, Row]:
        """Fold the events by their key, as the models do."""
        return fold(self.rows())


@pytest.fixture
def live(lake: Lake) -> LiveLake:
    return LiveLake(lake)


@contextmanager
def mock_cluster() -> Iterator[dict[str, str]]:
    """Give settings that lead to librdkafka's own mock of a cluster, which makes each topic that it is asked for."""
    cluster = confluent_kafka.Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "", "log_level": 0})
    (broker,) = cluster.list_topics(timeout=10).brokers.values()
    yield {"bootstrap.servers": f"{broker.host}:{broker.port}"}
    del cluster  # It lasts as long as the client that made it.


def moved(events: Sequence[StreamEvent], by: timedelta) -> list[StreamEvent]:
    """Let events happen at another time."""
    return [StreamEvent(event.seq, replace(event.event, at=event.event.at + by)) for event in events]


def wait_until(is_so: Callable[[], bool], *, seconds: float = 60.0, at_most: float | None = None) -> None:
    """Wait for something that is bound to happen; or, for so long at most, for something that may."""
    ends_at = time.monotonic() + (at_most or seconds)
    while not is_so():
        if time.monotonic() > ends_at:
            assert at_most, "it did not happen"
            return
        time.sleep(0.01)


def fold(rows: Sequence[Row]) -> dict[Key, Row]:
    """Fold rows of `repo_events` by the table's key; what differs from feed to feed is left out."""
    folded: dict[Key, Row] = {}
    for row in rows:
        is_commit = row["kind"] == "commit"
        told = {
            name: value
            for name, value in row.items()
            if name not in ("feed", "service", "position", "observed_at", "raw", "_dlt_load_id")
        }
        content = json.loads(row["raw"]) if row["raw"] and row["kind"] != "unreadable" else None
        if not is_commit and content:
            content.pop("seq", None)
        folded[row_key(row)] = told | {"raw": content}
    return folded


def row_key(row: Row) -> Key:
    """Give the key of a row of `repo_events`. Feeds may tell different times of one commit."""
    key = tuple(row[name] for name in REPO_EVENTS.key if name != "event_at")
    return key if row["kind"] == "commit" else (*key, row["event_at"])


def key_of(event: StreamEvent) -> Key:
    """Give the key of an event, from the world itself."""
    told = event.event
    if event.kind == "commit":
        return ("commit", told.did, told.collection, told.rkey, told.rev, told.operation)  # type: ignore[union-attr]
    return (event.kind, told.did, None, None, None, None, told.at)
