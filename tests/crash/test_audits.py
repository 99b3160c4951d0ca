"""The job is killed while it audits and loads: the next run ends with the lake as the repositories are."""

from __future__ import annotations

import json
import random
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.crash.audit_job import ROWS_PER_LOAD, run_audit
from tests.job import AtCall, AtChange, run_job
from tests.seeds import RARE
from tests.sources.audits import in_repository, kept_records, known_records, living, ties

if TYPE_CHECKING:
    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World
    from tests.conftest import Lake

KILLED = -9
MEMBERS = ("mara", "otto", "sofia", "ruth")


@pytest.mark.parametrize(
    ("count", "seed"),
    [pytest.param(1, 0, marks=pytest.mark.slow), *(pytest.param(3, seed, marks=RARE) for seed in range(1, 11))],
)
def test_an_audit_that_is_killed_at_any_moment_is_finished_by_the_next(
    lake: Lake, world: World, sample_server: SampleServer, count: int, seed: int
) -> None:
    chance = random.Random(seed)
    members = [world.actor(name).did for name in MEMBERS]
    working_folder, output = lake.folder.with_name("working_folder"), lake.folder / "output.txt"
    settings = {
        "DLT_PROJECT_DIR": str(lake.folder),
        "DLT_DATA_DIR": str(working_folder),
        "SOURCES__BLUESKY__SERVICE": sample_server.url,
        "SOURCES__BLUESKY__PLC_DIRECTORY": sample_server.url,
        "SOURCES__BLUESKY__STARTER_PACKS": "[]",
        "SOURCES__BLUESKY__ACTORS": json.dumps(members),
        "SOURCES__BLUESKY__CATCH_UP": "false",
        "SOURCES__BLUESKY__REQUESTS_PER_SECOND": "10000",
    }
    assert run_job(settings, output) == 0, output.read_text()
    sample_server.day = 5
    truth = {did: in_repository(world.on(5), did) for did in members}
    before = known_records(lake)
    assert sum(len(truth[did].keys() - before.keys()) for did in members) > 2 * ROWS_PER_LOAD

    deaths: list[AtCall | AtChange] = [
        AtCall("pipelines.network.repositories:Repositories", "repository", "before", chance.randint(2, 4)),
        AtChange(chance.randint(1, 600)),
        AtChange(chance.randint(1, 300)),
    ]
    kills = 0
    for death in deaths[:count]:
        code = run_audit(lake.folder, settings, death)
        assert code in (0, KILLED), output.read_text()
        kills += code == KILLED
        if chance.random() < 0.5:
            shutil.rmtree(working_folder, ignore_errors=True)
    assert kills
    assert run_audit(lake.folder, settings) == 0, output.read_text()
    known = known_records(lake)
    for did in members:
        assert living(known, did) == truth[did]
    kept = kept_records(lake)
    assert kept == {uri: cid for did in members for uri, cid in ties(world.on(5), did).items()}
    sample_server.requests.clear()
    assert run_audit(lake.folder, settings) == 0, output.read_text()
    assert {request.nsid for request in sample_server.requests} <= {
        "app.bsky.actor.getProfiles",  # for the service's time
        "com.atproto.sync.getLatestCommit",
        *(f"/{did}" for did in members),
    }
    assert known_records(lake) == known
