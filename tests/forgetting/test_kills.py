"""The command is killed while it forgets somebody: each file is as it was or clean, and the next run does the rest."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from pipelines.sample.appview.server import SampleServer
from tests.conftest import Lake, isolated_lake, shared_world
from tests.forgetting.lakes import Person, found_in, load_events, person, rows_of_others
from tests.job import AtChange, run_job
from tests.seeds import seeds

if TYPE_CHECKING:
    from pathlib import Path

KILLED = -9
OTHERS = ("mikkel", "bia", "wei", "kenji")


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Person]:
    world, folder = shared_world(), tmp_path_factory.mktemp("before")
    with isolated_lake(folder) as lake, SampleServer(world) as server:
        lake.pull(server, actors=[world.actor(name).did for name in OTHERS])
        load_events(world, 1, 600)
        (lake.folder / "_data" / "bluesky.duckdb.wal").write_text(world.actor("mikkel").did)
        return folder, person(world, lake, world.actor("mikkel").did)


@pytest.mark.parametrize("seed", seeds(31, by_default=1, on_each_change=4))
def test_a_run_that_is_killed_at_any_moment_is_finished_by_the_next(
    before: tuple[Path, Person], tmp_path: Path, seed: int
) -> None:
    folder, theirs = before
    shutil.copytree(folder, tmp_path / "copy")
    lake, chance = Lake(tmp_path / "copy" / "project"), random.Random(seed)
    places = {"DLT_PROJECT_DIR": lake.folder, "DLT_LOCAL_DIR": lake.folder, "DLT_DATA_DIR": tmp_path / "copy" / "dlt"}
    settings = {
        name: str(folder) for name, folder in (places | {"DBT_LOG_PATH": tmp_path, "DBT_TARGET_PATH": tmp_path}).items()
    }
    others, output = rows_of_others(lake, theirs.did), tmp_path / "output.txt"

    def forget(who: str, death: AtChange | None = None) -> int:
        return run_job(settings, output, arguments=("--forget", who), death=death)

    kills = 0
    for _ in range(1 + seed % 3):
        code = forget(theirs.did, AtChange(chance.randint(20, 130)))
        assert code in (0, KILLED), output.read_text()
        kills += code == KILLED
        for file in lake.dataset.rglob("*.parquet"):
            pq.read_table(file)
        assert rows_of_others(lake, theirs.did) == others
    assert kills
    was_begun = (lake.dataset.parent / "people" / "forgetting.json").exists()
    # Whoever is to be forgotten next: what was begun is finished first.
    assert forget("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa") == 1
    assert "nothing was changed" in output.read_text()
    if not was_begun:
        assert forget(theirs.did) == 0, output.read_text()
    for place in (lake.folder / "_data", tmp_path / "copy" / "dlt"):
        assert found_in(place, theirs.strings) == []
    assert [file.name for file in (lake.dataset.parent / "people").iterdir()] == ["forgotten.json"]
    assert rows_of_others(lake, theirs.did) == others
