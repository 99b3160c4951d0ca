"""Servers that need more than Python packages. A network is started from outside and named by an environment variable;
a bucket is started by the module that asks for it.
"""

from __future__ import annotations

import json
import os
import socket
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from pipelines.lake.bucket import use_project_settings
from tests.bucket_nights import BucketNights
from tests.conftest import isolated_lake
from tests.job import run_job
from tests.live.conftest import live, world_events

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.sample.appview.server import SampleServer
    from tests.servers.bucket_servers import BucketServer

__all__ = ["live", "world_events"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave them out by default also where the servers are installed: each costs seconds to start."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)
    # A worker has a whole file, and this one takes the longest: begun last, it would keep all others waiting.
    items.sort(key=lambda item: item.path.name != "test_sail.py")


@pytest.fixture(scope="session")
def atnet() -> dict[str, Any]:
    """A network of Bluesky's own servers: `tests/servers/atnet/up.sh` starts it and prints the file to name."""
    info = os.environ.get("ATNET_INFO")
    if not info:
        pytest.skip("no network is running: ATNET_INFO is not set (tests/servers/atnet/up.sh)")
    network: dict[str, Any] = json.loads(Path(info).read_text())
    return network


@pytest.fixture(scope="module")
def new_python(bucket_server: BucketServer) -> Iterator[ProcessPoolExecutor]:
    """A Python that has found, at its start, what it takes to reach the server; it runs one thing after the other."""
    with (
        patch.dict(os.environ, bucket_server.environment),
        ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor,
    ):
        yield executor


@pytest.fixture
def nights(
    bucket_server: BucketServer, new_python: ProcessPoolExecutor, sample_server: SampleServer, tmp_path: Path
) -> Iterator[BucketNights]:
    """Nights into an empty folder of the module's bucket."""

    def start(*arguments: Any, **options: Any) -> int:
        return new_python.submit(run_job, *arguments, **options).result()

    with isolated_lake(tmp_path) as lake:
        bucket_server.write_settings(lake.folder)
        use_project_settings()
        yield BucketNights(sample_server, lake.folder, {}, start=start)


def free_ports(count: int) -> list[int]:
    """Find ports on localhost that nobody listens at."""
    with ExitStack() as sockets:
        opened = [sockets.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in opened]
