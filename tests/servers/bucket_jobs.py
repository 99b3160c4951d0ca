"""What the tests of the buckets let run in a Python that has found, at its start, whom to trust."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dlt

from pipelines.events.jetstream import Jetstream
from pipelines.events.stream import StreamLimits
from pipelines.lake.bucket import use_project_settings
from pipelines.lake.compaction import READERS_NEED, compact
from pipelines.lake.filesystems import use_lake_filesystems
from pipelines.lake.members import read_members
from pipelines.lake.working_folder import open_pipeline, recover
from pipelines.sample.world.days import evening
from pipelines.sources.micro_batches import BatchLimits, MicroBatches
from tests.place_laws import assert_one_of_many_has_a_lease

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipelines.lake.compacted import Compaction


@dataclass(frozen=True)
class Leg:
    """What two runs of the live job and two of its compaction did, the second an hour after the first.

    Attributes:
        members: Whom the lake follows.
        loaded: Events of each run.
        compactions: What became of the small files.
    """

    members: frozenset[str]
    loaded: tuple[int, int]
    compactions: tuple[Compaction, Compaction]


def stream_and_compact(jetstream: str, environment: Mapping[str, str]) -> Leg:
    """Load what a Jetstream has, go on from there, and compact the files."""
    pipeline = _compaction(environment)
    return Leg(
        read_members(pipeline).dids,
        (_stream(jetstream), _stream(jetstream)),
        (compact(pipeline), compact(pipeline, now=time.time() + READERS_NEED)),
    )


def compete_for_a_lease(environment: Mapping[str, str]) -> None:
    """Try for the lake's lease from eight sides at once."""
    assert_one_of_many_has_a_lease(_compaction(environment))


def _compaction(environment: Mapping[str, str]) -> dlt.Pipeline:
    os.environ.update(environment)
    use_project_settings()
    use_lake_filesystems()
    return dlt.pipeline("bluesky_compact")


def _stream(jetstream: str) -> int:
    feed = Jetstream(jetstream, dids=None, limits=StreamLimits(quiet_seconds=0.4))
    pipeline = recover(open_pipeline("bluesky_jetstream"))
    batches = MicroBatches(pipeline, feed, BatchLimits(seconds=60, events=50), begin_at=evening(0))
    batches.load_until(threading.Event(), seconds=None, until_caught_up=True)
    return batches.run.loaded_count
