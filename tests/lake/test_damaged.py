"""A file of dlt's own that is damaged costs its name in a line, and no night: what is older counts."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from dlt.common.pipeline import get_dlt_pipelines_dir

from tests.sources.test_state import landed

if TYPE_CHECKING:
    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World
    from tests.conftest import Lake


def damage(file: Path, seed: int) -> None:
    """Make of a file what a disk that was full, an editor, or a bad copy makes of it."""
    dice, content = random.Random(seed), file.read_bytes()
    kinds = (
        content[: dice.randrange(len(content))],
        b"",
        b"{}",
        b"[1]",
        dice.randbytes(100),
        content.replace(b'"state":"', b'"state":"x').replace(b'"schema":"', b'"schema":"x'),
    )
    file.write_bytes(kinds[seed % len(kinds)])


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 6))])
def test_a_damaged_state_or_schema_is_named_and_the_one_before_it_counts(
    lake: Lake, sample_server: SampleServer, world: World, capsys: pytest.CaptureFixture[str], seed: int
) -> None:
    actors = [world.actor(name).did for name in ("nils", "otto")]
    for sample_server.day in (1, 2):
        lake.pull(sample_server, actors=actors)
    newest = [max((lake.dataset / table).glob("*.jsonl")) for table in ("_dlt_pipeline_state", "_dlt_version")]
    for file in newest:
        damage(file, seed)
    sample_server.day = 3
    assert lake.pull(sample_server, actors=actors).exit_code == 0
    said = capsys.readouterr().err.splitlines()
    assert [line.split(" was damaged")[0] for line in said] == [str(file) for file in newest]
    assert landed(lake) >= {(did, item.uri) for did in actors for item in world.on(3).feed(did)}
    assert lake.pull(sample_server, actors=actors).run.new_item_count == 0, "and it is in good order from then on"
    assert not capsys.readouterr().err


def test_a_night_of_a_wrong_clock_is_named_until_its_files_are_gone_and_then_all_is_well(
    lake: Lake, sample_server: SampleServer, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    did = world.actor("nils").did
    lake.pull(sample_server, actors=[did])
    capsys.readouterr()
    for state in [*(lake.dataset / "_dlt_pipeline_state").glob("*.jsonl")]:
        start, _, end = state.name.split("__")
        for to_come in ("4070908800.123", "99999999999999999999"):
            state.with_name(f"{start}__{to_come}__{end}").write_bytes(state.read_bytes())
    sample_server.day = 2
    lake.pull(sample_server, actors=[did])
    said = capsys.readouterr().err.splitlines()
    assert ["The load 4070908800.123 is of a time to come (2099-01-01)" in line for line in said] == [True, False]
    assert "The load 99999999999999999999 is of a time to come (after the year 9999)" in said[1]
    for file in lake.dataset.rglob("*"):
        if "__4070908800." in file.name or "__99999999999999999999__" in file.name:
            file.unlink()
    shutil.rmtree(Path(get_dlt_pipelines_dir()) / "bluesky")
    sample_server.day = 3
    assert lake.pull(sample_server, actors=[did]).exit_code == 0
    assert not capsys.readouterr().err
    assert landed(lake) >= {(did, item.uri) for item in world.on(3).feed(did)}
