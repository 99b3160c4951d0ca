"""The job as users start it, ended at any moment, from its first import to the page: the next one makes all of it true.

A run ends by `kill -9`, the next by Ctrl-C, the next by SIGTERM; each goes on from what the one before it left.
"""

from __future__ import annotations

import random
import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from tests.crash.commands import Commands
from tests.crash.conftest import MEMBERS, sample_night
from tests.dbt.warehouses import Warehouse, differences_of
from tests.seeds import seeds

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.world.world import World

DAY = 2


@pytest.mark.parametrize("seed", seeds(17, by_default=0, on_each_change=0))
@pytest.mark.usefixtures("as_in_a_terminal")
def test_a_job_that_is_ended_at_any_moment(first_day: Path, world: World, tmp_path: Path, seed: int) -> None:
    commands = Commands(shutil.copytree(first_day, tmp_path / "project"))
    chance = random.Random(seed)
    seconds = float((commands.folder / "seconds").read_text())
    members = [world.actor(name).did for name in MEMBERS]
    night = sample_night(DAY, members)
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGTERM):
        # Python needs a moment before it can handle anything.
        commands.end(number, 0.2 + chance.random() * seconds, *night)
    commands.run(*night)
    warehouse = Warehouse(commands.folder, "_data/sample")
    posts = {post.uri for did in members for item in world.on(DAY).feed(did) if not item.repost for post in [item.post]}
    published = warehouse.rows("select post_uri from fct_posts where not is_deleted")
    assert sorted(published) == sorted((uri,) for uri in posts)
    anew = Warehouse(commands.folder, "anew")
    anew.dbt("run")
    # The tests' own builds leave somebody out.
    assert differences_of(warehouse, anew) <= {"int_withheld_names"}
    assert "<!doctype html>" in (warehouse.path.with_name("report.html")).read_text().lower()
