"""The job as users start it, ended at any moment, from its first import to the page: the next one makes all of it true.

A run ends by `kill -9`, the next by Ctrl-C, the next by SIGTERM; each goes on from what the one before it left.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pipelines.interruption import INTERRUPTED
from pipelines.lake.bucket import PROJECT_ROOT
from tests.conftest import built_once
from tests.crash.conftest import MEMBERS
from tests.dbt.warehouses import Warehouse, differences_of, new_project
from tests.seeds import seeds

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipelines.sample.world.world import World

DAY = 2


@dataclass
class Job:
    """`python pipelines/bluesky.py --sample`, in a project of its own.

    Attributes:
        folder: The project's.
        members: Whom it pulls.
    """

    folder: Path
    members: list[str]

    def start(self, day: int) -> subprocess.Popen[str]:
        """Start it for a day of the sample."""
        settings = {name: value for name, value in os.environ.items() if "__" not in name.strip("_")}
        settings |= {"DLT_PROJECT_DIR": str(self.folder), "DLT_LOCAL_DIR": str(self.folder)}
        settings |= {"DLT_DATA_DIR": str(self.folder / "dlt"), "DBT_TARGET_PATH": str(self.folder / "target")}
        settings["DBT_LOG_PATH"] = str(self.folder / "logs")
        actors = [f"--actor={did}" for did in self.members]
        job = PROJECT_ROOT / "pipelines" / "bluesky.py"
        return subprocess.Popen(
            [sys.executable, str(job), "--sample", f"--day={day}", *actors],
            env=settings,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, day: int) -> float:
        """Run it to its end, and tell how long that took."""
        begun = time.monotonic()
        job = self.start(day)
        said, _ = job.communicate()
        assert job.returncode == 0, said
        return time.monotonic() - begun

    def end(self, day: int, number: signal.Signals, after: float) -> tuple[int, str]:
        """Send it a signal so many seconds after its start; give its exit code, and what it said."""
        job = self.start(day)
        time.sleep(after)
        job.send_signal(number)
        said, _ = job.communicate()
        return job.returncode, said


@pytest.fixture(autouse=True)
def as_in_a_terminal() -> Iterator[None]:
    """What a shell runs in the background, and what that starts, inherits that SIGINT is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="module")
def first_day(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path, world: World) -> Job:
    members = [world.actor(name).did for name in MEMBERS]

    def build(folder: Path) -> None:
        seconds = Job(new_project(folder, parsed_project), members).run(1)
        (folder / "seconds").write_text(str(seconds))

    return Job(built_once(tmp_path_factory, "first_day_of_five", build), members)


@pytest.mark.parametrize("seed", seeds(17, by_default=0, on_each_change=0))
def test_a_job_that_is_ended_at_any_moment(first_day: Job, world: World, tmp_path: Path, seed: int) -> None:
    job = Job(shutil.copytree(first_day.folder, tmp_path / "project"), first_day.members)
    chance = random.Random(seed)
    seconds = float((job.folder / "seconds").read_text())
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        # Python needs a moment before it can handle anything.
        code, said = job.end(DAY, number, 0.2 + chance.random() * seconds)
        if number == signal.SIGKILL:
            assert code in (-number, 0), said
        elif code:
            assert code == 128 + number, said
            assert said.splitlines()[-1] == INTERRUPTED
            assert "Traceback" not in said
    job.run(DAY)
    warehouse = Warehouse(job.folder, "_data/sample")
    posts = {
        post.uri for did in job.members for item in world.on(DAY).feed(did) if not item.repost for post in [item.post]
    }
    published = warehouse.rows("select post_uri from fct_posts where not is_deleted")
    assert sorted(published) == sorted((uri,) for uri in posts)
    anew = Warehouse(job.folder, "anew")
    anew.dbt("run")
    # The tests' own builds leave somebody out.
    assert differences_of(warehouse, anew) <= {"int_withheld_names"}
    assert "<!doctype html>" in (warehouse.path.with_name("report.html")).read_text().lower()
