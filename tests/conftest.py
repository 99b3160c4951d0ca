"""What all tests share: the sample world, a server over it, and a lake of one's own with the shipped settings."""

from __future__ import annotations

import io
import os
import shutil
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pytest
from filelock import FileLock
from rich.console import Console

from pipelines import bluesky
from pipelines.lake.bucket import PROJECT_ROOT, use_project_settings
from pipelines.lake.filesystems import use_lake_filesystems
from pipelines.lake.tables import RAW_TABLES
from pipelines.lake.working_folder import open_pipeline, recover
from pipelines.network.appview import AppView
from pipelines.network.connect import Network
from pipelines.network.pacing import Pacer
from pipelines.network.repositories import Repositories
from pipelines.sample.appview.server import SampleServer
from pipelines.sample.world.world import World
from pipelines.sources.pull_run import ITEMS_PER_LOAD, LoadRoom, PullRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Record = dict[str, Any]


def pytest_xdist_auto_num_workers() -> int:
    """Take more workers than cores: many tests wait, for a server or for another process."""
    return (os.cpu_count() or 1) + 3


def built_once(tmp_path_factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """Let the first worker that needs it build what all of them only read, and give its folder."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            unfinished = folder.with_name(f"{name}.unfinished")
            build(unfinished)
            unfinished.rename(folder)
    return folder


@pytest.fixture(scope="session")
def world() -> World:
    return World()


@pytest.fixture
def sample_server(world: World) -> Iterator[SampleServer]:
    with SampleServer(world) as server:
        yield server


@dataclass(frozen=True)
class Pull:
    """What a run of the job did.

    Attributes:
        exit_code: The job's.
        run: What it counted.
        output: What it printed.
        requests: How often the server was asked for each method, in this run.
    """

    exit_code: int
    run: PullRun
    output: str
    requests: Counter[str]


@dataclass
class Lake:
    """An empty lake in a folder of its own, with the settings that are shipped and nobody's secrets.

    Attributes:
        folder: The project's folder, as far as dlt knows: relative paths begin there.
        pipeline_name: `bluesky`; `bluesky_sample` to look into what `--sample` made.
        client: Settings of the AppView client: as patient as usual, but for the backoff.
        items_per_load: After how many items a load is closed and the next one begun.
    """

    folder: Path
    pipeline_name: str = "bluesky"
    client: dict[str, Any] = field(default_factory=lambda: {"backoff": 0.01})
    items_per_load: int = ITEMS_PER_LOAD
    _last_now: datetime | None = field(default=None, repr=False)

    @property
    def dataset(self) -> Path:
        lake = "_data/sample/lake" if self.pipeline_name == "bluesky_sample" else "_data/lake"
        return self.folder / lake / "bluesky"

    def pipeline(self) -> dlt.Pipeline:
        return dlt.pipeline(self.pipeline_name)

    def pull(self, server: SampleServer, **settings: Any) -> Pull:
        """Pull the evening that the server shows, as the job does.

        Args:
            server: Whom to ask.
            settings: Arguments of the source. Without any seeds: the first pack of the sample world.
        """
        now = server.world.on(server.day).now
        if self._last_now and now <= self._last_now:
            now = self._last_now + timedelta(minutes=1)
        self._last_now = now
        appview = AppView(server.url, Pacer(10_000), **self.client)
        network = Network(appview, Repositories(appview, server.url), server.url)
        seeds: dict[str, list[str]] = {"starter_packs": [], "lists": [], "actors": []}
        if not settings.keys() & seeds.keys():
            seeds["starter_packs"] = [server.world.packs[0].uri]
        run = PullRun(lambda: now, network, LoadRoom(self.items_per_load))
        night = bluesky.Night(seeds | settings, run)
        output = io.StringIO()
        asked_before = len(server.requests)
        console = Console(file=output, soft_wrap=True, width=200)
        exit_code = bluesky.pull(recover(open_pipeline(self.pipeline_name)), night, console)
        requests = Counter(request.nsid.rpartition(".")[2] for request in server.requests[asked_before:])
        return Pull(exit_code, run, output.getvalue(), requests)

    def query(self, sql: str) -> list[Record]:
        """Ask the lake in SQL; each raw table that has rows is a view of its name."""
        with duckdb.connect() as connection:
            for table in RAW_TABLES:
                files = self.dataset / table.name / "**" / "*.parquet"
                if (self.dataset / table.name).is_dir():
                    connection.sql(f"from read_parquet('{files}', union_by_name=true)").create_view(table.name)
            return connection.sql(sql).to_arrow_table().to_pylist()


@contextmanager
def isolated_lake(folder: Path) -> Iterator[Lake]:
    """Let dlt know nothing but the settings that are shipped, and keep everything in a folder."""
    project = folder / "project"
    (project / ".dlt").mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / ".dlt" / "config.toml", project / ".dlt")
    with pytest.MonkeyPatch.context() as environment:
        for name in list(os.environ):
            if "__" in name.strip("_"):
                environment.delenv(name)
        environment.setenv("DLT_PROJECT_DIR", str(project))
        environment.setenv("DLT_DATA_DIR", str(folder / "dlt"))
        environment.delenv("DLT_LOCAL_DIR", raising=False)
        use_project_settings()
        use_lake_filesystems()
        yield Lake(project)
    use_project_settings()


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with isolated_lake(tmp_path) as lake:
        yield lake
