"""The models on Sail: what it builds, as a cluster of four workers, is what DuckDB builds night by night."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from pipelines.lake.bucket import PROJECT_ROOT
from pipelines.lake.spark_tables import tables_folder_of
from tests.dbt.test_random_lakes import Chance
from tests.dbt.warehouses import Warehouse, new_project

if TYPE_CHECKING:
    from pathlib import Path

NIGHTS = (1, 2, 3)
MARTS = ("fct_", "dim_", "bridge_", "rpt_")
BUILD = PROJECT_ROOT / "tests" / "servers" / "build_on_sail.py"


class OnSail:
    """A warehouse of a lake that has one of DuckDB's too, built in a Python of its own."""

    def __init__(self, python: Path, warehouse: Warehouse) -> None:
        self.python = python
        self.warehouse = warehouse

    @property
    def tables(self) -> Path:
        """Where Sail writes its tables while it builds."""
        return tables_folder_of(self.warehouse.path)

    def build(self) -> None:
        """Build all."""
        with self.begin() as job:
            output, _ = job.communicate()
            assert job.returncode == 0, output

    def begin(self) -> subprocess.Popen[str]:
        """Begin to build all."""
        folder = self.warehouse.folder
        env = {name: value for name, value in os.environ.items() if "__" not in name.strip("_")} | {
            "DLT_PROJECT_DIR": str(folder),
            "DLT_LOCAL_DIR": str(folder),
            "DLT_DATA_DIR": str(folder / "dlt"),
            "DBT_TARGET_PATH": str(folder / "target_of_sail"),
            "DBT_LOG_PATH": str(folder / "logs"),
            "PIPELINES__BLUESKY_SAMPLE__WAREHOUSE": f"{self.warehouse.name}/bluesky.duckdb",
            "WAREHOUSE__ENGINE": "sail",
            "SAIL_MODE": "local-cluster",
            "SAIL_CLUSTER__WORKER_INITIAL_COUNT": "4",
            "SAIL_CLUSTER__WORKER_MAX_COUNT": "4",
            "SAIL_CLUSTER__WORKER_TASK_SLOTS": "64",  # A table's files are read at once.
        }
        return subprocess.Popen(
            [self.python, "-W", "ignore", BUILD],
            cwd=PROJECT_ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def marts(self) -> dict[str, set[tuple[str, int]]]:
        return marts_of(self.warehouse)


def marts_of(warehouse: Warehouse) -> dict[str, set[tuple[str, int]]]:
    """Give each mart's rows, and how often each is there. Doubles count to six places."""
    columns: dict[str, list[str]] = {}
    for table, column, data_type in warehouse.rows("""
        select table_name, column_name, data_type
        from duckdb_columns()
        where database_name = 'bluesky' and column_name != 'batch_number'
        order by table_name, column_name
    """):
        if table.startswith(MARTS):
            # Adding nothing makes -0.0, which a sum of another order may come to, 0.0.
            cell = f'round("{column}", 6) + 0' if data_type == "DOUBLE" else f'"{column}"'
            columns.setdefault(table, []).append(cell)
    return {
        table: set(warehouse.rows(f"select ({', '.join(cells)})::varchar, count(*) from {table} group by all"))
        for table, cells in columns.items()
    }


def assert_equal(sail: Warehouse, duckdb: Warehouse) -> None:
    """Hold what Sail built to what DuckDB built."""
    ours, theirs = marts_of(sail), marts_of(duckdb)
    assert ours.keys() == theirs.keys()
    assert len(theirs["dim_authors"]) > 1
    different = {name: sorted(ours[name] ^ theirs[name])[:4] for name in theirs if ours[name] != theirs[name]}
    assert not different


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the extra. In the tests' own, DuckDB would import pandas in each process."""
    folder = tmp_path_factory.mktemp("sail") / "venv"
    new = folder / "bin" / "python"
    commands: tuple[list[str | Path], ...] = (
        ["uv", "venv", "--quiet", "--python", sys.executable, folder],
        ["uv", "pip", "install", "--quiet", "--python", new, "--requirements", "requirements.lock"],
        [
            "uv",
            "pip",
            "install",
            "--quiet",
            "--python",
            new,
            "--constraints",
            "requirements.lock",
            "--editable",
            ".[sail]",
        ],
    )
    for command in commands:
        subprocess.run(command, cwd=PROJECT_ROOT, check=True)
    return new


@pytest.fixture
def two(tmp_path: Path, parsed_project: Path, python: Path) -> tuple[OnSail, Warehouse]:
    """One lake, with a warehouse that Sail builds and one that DuckDB builds."""
    folder = new_project(tmp_path / "project", parsed_project)
    return OnSail(python, Warehouse(folder, "sail")), Warehouse(folder, "duckdb")


def test_sail_builds_what_duckdb_builds_also_after_it_was_killed(two: tuple[OnSail, Warehouse]) -> None:
    sail, duckdb = two
    for night in NIGHTS[:-1]:
        duckdb.pull(night)
        duckdb.dbt("run")
    sail.build()
    assert_equal(sail.warehouse, duckdb)
    before = sail.marts()
    duckdb.pull(NIGHTS[-1])
    duckdb.dbt("run")
    with sail.begin() as job:
        while not (sail.tables / "int_posts").exists():
            assert job.poll() is None
            time.sleep(0.1)
        job.send_signal(signal.SIGKILL)
    assert sail.marts() == before
    sail.build()
    assert_equal(sail.warehouse, duckdb)
    assert not sail.tables.exists()


def test_sail_builds_what_duckdb_builds_of_a_random_lake_and_duckdb_builds_on(two: tuple[OnSail, Warehouse]) -> None:
    sail, duckdb = two
    chance = Chance(7)
    for night in range(1, 6):
        chance.load(night).write(duckdb.dataset)
        if night in {3, 5}:
            duckdb.dbt("run")
    sail.build()
    assert_equal(sail.warehouse, duckdb)
    chance.load(6).write(duckdb.dataset)
    for warehouse in (duckdb, sail.warehouse):
        warehouse.dbt("run")
    assert_equal(sail.warehouse, duckdb)
