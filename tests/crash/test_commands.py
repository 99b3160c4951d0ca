"""Commands other than the nightly, ended at any moment: what they make is whole or as before, and the next run is well.

The first ends by `kill -9`, the next by Ctrl-C, the next by SIGTERM; each goes on from what the one before it left.
"""

from __future__ import annotations

import random
import shutil
import signal
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.crash.commands import Commands
from tests.crash.conftest import MEMBERS
from tests.forgetting.lakes import found_in
from tests.seeds import RARE

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.world.world import World

pytestmark = pytest.mark.usefixtures("as_in_a_terminal")

DATA = "_data/sample"
SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
STREAM = ("live.py", "jetstream", "--sample", "--all", "--until-caught-up", "--batch-events", "200")
COMMANDS = {
    "page": ("report.py", "--sample"),
    "tables": ("export.py", "tables", "fct_posts", "rpt_members", "--all", "--pseudonyms", "--sample", "--out"),
    "graph": ("export.py", "graph", "--kinds", "interactions,follows", "--sample", "--out"),
    "stream": STREAM,
    "compaction": ("live.py", "compact", "--sample"),
}
"""What is made is the same each time."""

SEEDS = [pytest.param(seed, marks=RARE) for seed in range(4)]
ON_EACH_CHANGE = "graph"


@pytest.fixture
def commands(first_day: Path, tmp_path: Path) -> Commands:
    return Commands(shutil.copytree(first_day, tmp_path / "project"))


def made(folder: Path, name: str) -> dict[str, Any]:
    """Read what a command makes, by file: the page and graphs as they are, the rows of tables in some order."""
    if name in ("stream", "compaction"):
        files = [str(file) for file in (folder / DATA / "lake" / "bluesky" / "repo_events").rglob("*.parquet")]
        return {"events": rows_of(files) if files else set()}
    if name == "page":
        return {"page": (folder / DATA / "report.html").read_bytes()}
    files_of = {file.name: file for file in (folder / "out").glob("[!.]*") if file.suffix != ".json"}
    return {
        file_name: rows_of([str(file)]) if file.suffix == ".parquet" else file.read_bytes()
        for file_name, file in files_of.items()
    }


def rows_of(files: list[str]) -> set[tuple[Any, ...]]:
    with duckdb.connect() as connection:
        columns = (
            "columns(lambda name: name not in ('_dlt_load_id', '_dlt_id', 'observed_at', 'source_file', 'service',"
            " '_source_file', '_source_row'))"
        )
        rows = "read_parquet($1, union_by_name = true)"
        return set(connection.execute(f"select {columns}::varchar from {rows}", [files]).fetchall())


@pytest.mark.parametrize(
    ("name", "seed"),
    [
        pytest.param(name, seed, marks=pytest.mark.slow if (name, seed) == (ON_EACH_CHANGE, 0) else RARE)
        for name in COMMANDS
        for seed in range(4)
    ],
)
def test_a_command_that_is_ended_at_any_moment(commands: Commands, name: str, seed: int) -> None:
    chance, folder = random.Random(f"{name} {seed}"), commands.folder
    command = (*COMMANDS[name], *([str(folder / "out")] if COMMANDS[name][-1] == "--out" else []))
    (folder / DATA / "pseudonyms.salt").write_text("5a17" * 16)
    if name == "compaction":
        commands.run(*STREAM)
    untouched = Commands(shutil.copytree(folder, folder.with_name("untouched")))
    seconds = untouched.run(*(part.replace(str(folder), str(untouched.folder)) for part in command))
    whole = made(untouched.folder, name)
    assert whole
    for number in SIGNALS:
        before = made(folder, name)
        commands.end(number, 0.2 + chance.random() * seconds, *command)
        now = made(folder, name)
        if name == "stream":
            assert before["events"] <= now["events"] <= whole["events"]
        else:
            assert all(content in (whole[file], before.get(file)) for file, content in now.items())
    commands.run(*command)
    assert made(folder, name) == whole
    assert not list((folder / "out").glob(".*.partial"))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_forgetting_that_is_ended_at_any_moment(commands: Commands, world: World, seed: int) -> None:
    chance, person = random.Random(seed), world.actor(MEMBERS[seed])
    forgetting = ("bluesky.py", "--sample", "--forget", person.did)
    seconds = Commands(shutil.copytree(commands.folder, commands.folder.with_name("untouched"))).run(*forgetting)
    for number in SIGNALS:
        commands.end(number, 0.2 + chance.random() * seconds, *forgetting)
    commands.run(*forgetting)
    assert found_in(commands.folder / "_data", [person.did]) == []
    assert found_in(commands.folder / "dlt", [person.did]) == []
