"""What all tests share: the sample world, a server over it, and a lake of one's own with the shipped settings."""

from __future__ import annotations

import os
import sys

if sys.dont_write_bytecode:
    # A run is many processes. Each would compile all that it imports, and each worker rewrite all tests' assertions.
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import io
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pytest
from dlt.common.configuration import is_secret_hint
from filelock import FileLock
from hypothesis import HealthCheck, settings

from pipelines import bluesky
from pipelines.lake.bucket import PROJECT_ROOT, use_project_settings
from pipelines.lake.filesystems import use_lake_filesystems
from pipelines.lake.forgotten import Forgotten
from pipelines.lake.tables import CHECK_TABLES, RAW_TABLES
from pipelines.lake.working_folder import open_pipeline, recover
from pipelines.network.appview import AppView
from pipelines.network.connect import Network
from pipelines.network.pacing import Pacer
from pipelines.network.repositories import Repositories
from pipelines.sample.appview.server import SampleServer
from pipelines.sample.world.world import World
from pipelines.sources.pull_run import ITEMS_PER_LOAD, LoadRoom, PullRun
from pipelines.terminal import Terminal
from tests.dbt_command import run_dbt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Record = dict[str, Any]

# By default; CI tries hypothesis' own number, with `--hypothesis-profile=ci`. A busy machine fails no law in either.
settings.register_profile("quick", max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def pytest_xdist_auto_num_workers() -> int:
    """Take one worker more than there are cores, for tests that wait; each costs seconds of imports and fixtures."""
    return (os.cpu_count() or 1) + 1


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """By default, do not even import the files whose tests are all slow: each worker would, for nothing."""
    if config.option.markexpr != "not slow":
        return None
    is_slow = collection_path.name == "servers" or (
        collection_path.suffix == ".py" and "\npytestmark = pytest.mark.slow" in collection_path.read_text("utf-8")
    )
    return is_slow or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with a file that needs the published sample: one worker builds it while the others have other files."""
    items.sort(key=lambda item: item.path.name != "test_digest.py")


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
def parsed_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What dbt keeps of the project that it parsed: in a new target folder, it spares the longest part of a first run.

    dbt does not use it where its `--target` is another.
    """
    return built_once(tmp_path_factory, "parsed_project", _parse) / "target" / "partial_parse.msgpack"


def _parse(folder: Path) -> None:
    with isolated_lake(folder), pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_TARGET_PATH", str(folder / "target"))
        patch.setenv("DBT_LOG_PATH", str(folder / "logs"))
        outcome = run_dbt("parse", "--target=sample")
        assert outcome.success, outcome.exception


shared_world = cache(World)


@pytest.fixture(scope="session")
def world() -> World:
    return shared_world()


@pytest.fixture(scope="session", autouse=True)
def one_world() -> Iterator[None]:
    """Let `--sample` show the world that the tests know, where it would begin another with each run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bluesky, "World", shared_world)
        yield


@pytest.fixture(scope="session", autouse=True)
def types_read_once() -> Iterator[None]:
    """Spare small pulls a third: dlt takes a setting's type apart at each of thousands of look-ups.

    A job in a process of its own does without.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module in ("resolve", "providers.environ"):
            patch.setattr(f"dlt.common.configuration.{module}.is_secret_hint", cache(is_secret_hint))
        yield


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
        console = Terminal(output, width=200)
        exit_code = bluesky.pull(recover(open_pipeline(self.pipeline_name)), night, console)
        requests = Counter(request.nsid.rpartition(".")[2] for request in server.requests[asked_before:])
        return Pull(exit_code, run, output.getvalue(), requests)

    def query(self, sql: str) -> list[Record]:
        """Ask the lake in SQL; each raw table that is asked for and has rows is a view of its name."""
        with duckdb.connect() as connection:
            for table in (*RAW_TABLES, *CHECK_TABLES):
                files = self.dataset / table.name / "**" / "*.parquet"
                if table.name in sql and (self.dataset / table.name).is_dir():
                    connection.sql(f"from read_parquet('{files}', union_by_name=true)").create_view(table.name)
            return connection.sql(sql).to_arrow_table().to_pylist()


@contextmanager
def isolated_lake(folder: Path) -> Iterator[Lake]:
    """Let dlt know nothing but the settings that are shipped, and keep everything in a folder."""
    project = folder / "project"
    (project / ".dlt").mkdir(parents=True)
    config = (PROJECT_ROOT / ".dlt" / "config.toml").read_text()
    # No test listens to the real network.
    (project / ".dlt" / "config.toml").write_text(config.replace("\ncatch_up = true", "\ncatch_up = false"))
    with pytest.MonkeyPatch.context() as environment:
        for name in list(os.environ):
            if "__" in name.strip("_"):
                environment.delenv(name)
        environment.setenv("DLT_PROJECT_DIR", str(project))
        environment.setenv("DLT_DATA_DIR", str(folder / "dlt"))
        environment.delenv("DLT_LOCAL_DIR", raising=False)
        environment.setattr("pipelines.lake.forgotten._current", Forgotten())
        use_project_settings()
        use_lake_filesystems()
        yield Lake(project)
    use_project_settings()


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    with isolated_lake(tmp_path) as lake:
        yield lake
