"""Nights that may be killed, over a few members of the sample world."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from dlt.common.versioned_state import decompress_state

from pipelines.sources.member_states import MemberStates
from tests.conftest import built_once
from tests.crash.commands import Commands
from tests.dbt.warehouses import new_project
from tests.job import AtCall, AtChange, run_job

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World
    from tests.conftest import Lake

KILLED = -signal.SIGKILL
INTERRUPTED = (128 + signal.SIGINT, 128 + signal.SIGTERM)
PULL_ONLY = ("--no-transform", "--no-report")
MEMBERS = ("nils", "otto", "sofia", "ruth", "silent")
"""Some with one page of posts, some with two, one with none."""


@dataclass
class Nights:
    """Nights over the same few members, each in a process of its own.

    Attributes:
        project: The folder that holds `.dlt`.
        bucket: Where the lake is, by the settings there.
        working_folder: dlt's own.
        names: Who is followed.
    """

    server: SampleServer
    project: Path
    bucket: Path
    working_folder: Path
    names: tuple[str, ...] = MEMBERS

    def run(
        self,
        death: AtCall | AtChange | None = None,
        arguments: tuple[str, ...] = PULL_ONLY,
        *,
        ends: tuple[int, ...] = (0, KILLED, *INTERRUPTED),
    ) -> int:
        settings = {
            "DLT_PROJECT_DIR": str(self.project),
            "DLT_DATA_DIR": str(self.working_folder),
            "DESTINATION__FILESYSTEM__BUCKET_URL": str(self.bucket.relative_to(self.project)),
            "SOURCES__BLUESKY__SERVICE": self.server.url,
            "SOURCES__BLUESKY__PLC_DIRECTORY": self.server.url,
            "SOURCES__BLUESKY__STARTER_PACKS": "[]",
            "SOURCES__BLUESKY__ACTORS": json.dumps(self.members),
            "SOURCES__BLUESKY__REQUESTS_PER_SECOND": "10000",
            # Mostly one member after the other, so that a stage finds them in one order.
            "EXTRACT__WORKERS": "1",
            "EXTRACT__MAX_PARALLEL_ITEMS": "2",
        }
        self.output.unlink(missing_ok=True)
        code = run_job(settings, self.output, arguments=arguments, death=death, members_per_load=3)
        assert code in ends, self.output.read_text()
        return code

    @property
    def output(self) -> Path:
        """What the last run printed."""
        return self.project / "output.txt"

    @property
    def dataset(self) -> Path:
        return self.bucket / "bluesky"

    @property
    def members(self) -> list[str]:
        return [self.server.world.actor(name).did for name in self.names]

    def lose_working_folder(self) -> None:
        shutil.rmtree(self.working_folder, ignore_errors=True)

    def feed_items(self, day: int) -> dict[tuple[str, str], datetime]:
        """What is true on an evening: when each item was indexed, by member and URI."""
        feeds = self.server.world.on(day)
        return {
            (did, item.uri): (item.repost or item.post).indexed_at for did in self.members for item in feeds.feed(did)
        }

    def items(self) -> set[tuple[str, str]]:
        files = [str(file) for file in (self.dataset / "author_feed").rglob("*.parquet")]
        if not files:
            return set()
        with duckdb.connect() as connection:
            rows = connection.execute("select distinct member_did, item_uri from read_parquet($1)", [files])
            return set(rows.fetchall())

    def cursors(self) -> dict[str, datetime]:
        """The cursors as the next run would find them on another machine, by DID."""
        files = sorted((self.dataset / "_dlt_pipeline_state").glob("*.jsonl"))
        if not files:
            return {}
        state: Any = decompress_state(json.loads(files[-1].read_text())["state"])
        members = MemberStates(state["sources"]["bluesky"]["resources"]["author_feed"]["members"]).by_did()
        return {did: datetime.fromisoformat(kept["cursor"]) for did, kept in members.items() if kept["cursor"]}

    def assert_whole(self) -> None:
        """Every file that a reader would take can be read, and no cursor is ahead of what is there."""
        with duckdb.connect() as connection:
            for file in self.dataset.rglob("*.parquet"):
                connection.sql(f"select * from read_parquet('{file}')").fetchall()
        for file in self.dataset.rglob("*.jsonl"):
            json.loads(file.read_text())
        items, cursors = self.items(), self.cursors()
        for (did, uri), indexed_at in self.feed_items(self.server.day).items():
            if did in cursors and indexed_at <= cursors[did]:
                assert (did, uri) in items

    def assert_complete(self) -> None:
        """The cursors are those of the evening that was read last."""
        newest: dict[str, datetime] = {}
        for (did, _), indexed_at in self.feed_items(self.server.day).items():
            newest[did] = max(indexed_at, newest.get(did, indexed_at))
        assert self.cursors() == newest


@pytest.fixture
def nights(lake: Lake, sample_server: SampleServer) -> Nights:
    return Nights(sample_server, lake.folder, lake.folder / "_data" / "lake", lake.folder.with_name("working_folder"))


@pytest.fixture
def as_in_a_terminal() -> Iterator[None]:
    """What a shell runs in the background, and what that starts, inherits that SIGINT is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def sample_night(day: int, members: Sequence[str]) -> tuple[str, ...]:
    """Give the command that pulls a day of the sample."""
    return ("bluesky.py", "--sample", f"--day={day}", *(f"--actor={did}" for did in members))


@pytest.fixture(scope="module")
def first_day(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path, world: World) -> Path:
    """A project after the first day of a few members; `seconds` says how long that took."""
    members = [world.actor(name).did for name in MEMBERS]

    def build(folder: Path) -> None:
        seconds = Commands(new_project(folder, parsed_project)).run(*sample_night(1, members))
        (folder / "seconds").write_text(str(seconds))

    return built_once(tmp_path_factory, "first_day_of_five", build)
