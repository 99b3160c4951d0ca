"""The job is killed while it asks and loads: the next run ends with each answer, once asked in vain or not."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.crash.check_job import QUESTIONS_PER_LOAD, run_check
from tests.job import AtCall, AtChange
from tests.seeds import seeds
from tests.sources.test_record_checks import records_of, some_of_each

if TYPE_CHECKING:
    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World
    from tests.conftest import Lake

KILLED = -9


@pytest.mark.parametrize("seed", seeds(10, by_default=0, on_each_change=1))
def test_a_check_that_is_killed_at_any_moment_is_finished_by_the_next(
    lake: Lake, world: World, sample_server: SampleServer, seed: int
) -> None:
    chance = random.Random(seed)
    states = records_of(world, 1)
    uris = some_of_each(states, 12)
    assert len(uris) > 2 * QUESTIONS_PER_LOAD
    working_folder = lake.folder.with_name("working_folder")
    settings = {
        "DLT_PROJECT_DIR": str(lake.folder),
        "DLT_DATA_DIR": str(working_folder),
        "SOURCES__BLUESKY__SERVICE": sample_server.url,
        "SOURCES__BLUESKY__PLC_DIRECTORY": sample_server.url,
        "SOURCES__BLUESKY__REQUESTS_PER_SECOND": "10000",
    }
    deaths: list[AtCall | AtChange] = [
        AtCall("pipelines.network.repositories:Repositories", "record", "before", chance.randint(5, 10)),
        AtChange(chance.randint(1, 600)),
        AtChange(chance.randint(1, 300)),
    ]
    kills = 0
    for death in deaths:
        code = run_check(lake.folder, uris, settings, death)
        assert code in (0, KILLED), (lake.folder / "output.txt").read_text()
        kills += code == KILLED
        if chance.random() < 0.5:
            shutil.rmtree(working_folder, ignore_errors=True)
    assert kills
    assert run_check(lake.folder, uris, settings) == 0, (lake.folder / "output.txt").read_text()
    shown = {uri for uri in uris if states[uri] == "shown"}
    assert {row["item_uri"] for row in lake.query("select item_uri from author_feed")} == shown
    answers = lake.query("select distinct uri, outcome from record_checks")
    outcomes = {row["uri"]: row["outcome"] for row in answers}
    assert len(outcomes) == len(answers), "one answer each, however often it was given"
    assert outcomes == {uri: states[uri] for uri in outcomes}
    assert set(uris) - outcomes.keys() <= shown
    sample_server.requests.clear()
    assert run_check(lake.folder, uris, settings) == 0
    assert sample_server.requests == []
