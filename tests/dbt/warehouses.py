"""dbt as users run it: the project in dbt/, on a lake and a warehouse of the test's own."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pytest

from pipelines import bluesky, report
from pipelines.lake.bucket import PROJECT_ROOT, use_project_settings
from pipelines.lake.compaction import READERS_NEED, compact
from tests.dbt_command import run_dbt

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from dbt.artifacts.schemas.run import RunResult

Row = tuple[Any, ...]

LAST_DAY = 10
BUILD_AFTER_DAYS = (4, LAST_DAY)
"""Not after each, for the suite's sake; a night on which dbt did not run is a case of its own."""
WHAT_IS_KEPT = "--select=+config.materialized:incremental"
"""What a later run goes on from. All else it makes anew, so that an earlier run need not."""


@dataclass
class Warehouse:
    """The sample's lake and warehouse, in a folder of their own.

    Attributes:
        folder: The project's folder, as far as dlt knows.
        name: Folder of the warehouse, so that one lake can have several.
    """

    folder: Path
    name: str = "warehouse"

    @property
    def path(self) -> Path:
        return self.folder / self.name / "bluesky.duckdb"

    @property
    def dataset(self) -> Path:
        return self.folder / "_data" / "sample" / "lake" / "bluesky"

    def pull(self, day: int, *options: str) -> None:
        """Pull a day of the sample into the lake, as the job does."""
        with self._settings():
            assert bluesky.main(["--sample", "--day", str(day), "--no-transform", "--no-report", *options]) == 0

    def job(self, *options: str) -> int:
        """Run the job on the sample, and give its exit code."""
        with self._settings():
            return bluesky.main(["--sample", *options])

    def compact(self, *, hour: int) -> None:
        """Compact the sample's lake, as if so many hours had passed."""
        with self._settings():
            compact(dlt.pipeline("bluesky_sample_compact"), now=time.time() + hour * READERS_NEED)

    def report(self) -> int:
        """Write the sample's page, and give the exit code."""
        with self._settings():
            return report.main(["--sample"])

    def dbt(self, *arguments: str, may_fail: bool = False) -> list[RunResult]:
        """Run dbt on the sample, and give the result of each node."""
        with self._settings():
            outcome = run_dbt(*arguments, "--target=sample")
        results: list[RunResult] = list(getattr(outcome.result, "results", []))
        bad = [f"{result.node.name}: {result.message}" for result in results if result.status in ("error", "fail")]
        assert may_fail or outcome.success, bad or outcome.exception
        return results

    def rows(self, sql: str) -> list[Row]:
        with duckdb.connect(str(self.path), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            return connection.execute(sql).fetchall()

    def tables(self) -> list[str]:
        return [str(name) for (name,) in self.rows("select table_name from duckdb_tables() order by 1")]

    @contextmanager
    def _settings(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            for name in list(os.environ):
                if "__" in name.strip("_"):
                    patch.delenv(name)
            patch.setenv("DLT_PROJECT_DIR", str(self.folder))
            patch.setenv("DLT_LOCAL_DIR", str(self.folder))
            patch.setenv("DLT_DATA_DIR", str(self.folder / "dlt"))
            patch.setenv("DBT_TARGET_PATH", str(self.folder / "target"))
            patch.setenv("DBT_LOG_PATH", str(self.folder / "logs"))
            patch.setenv("PIPELINES__BLUESKY_SAMPLE__WAREHOUSE", f"{self.name}/bluesky.duckdb")
            use_project_settings()
            yield
        use_project_settings()


def new_project(folder: Path, parsed_project: Path) -> Path:
    """Make a project's folder with the settings that are shipped and nobody's secrets."""
    for part in (".dlt", "target"):
        (folder / part).mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / ".dlt" / "config.toml", folder / ".dlt")
    shutil.copy(parsed_project, folder / "target")
    return folder


def differences(one: Sequence[Row], other: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Say what each of two sets of rows has that the other has not."""
    first, second = set(one), set(other)
    return sorted(first - second, key=repr)[:20], sorted(second - first, key=repr)[:20]


def differences_of(one: Warehouse, other: Warehouse, *, but: Collection[str] = ()) -> set[str]:
    """Compare all that two warehouses hold, row for row, but some columns, and name the tables that differ."""
    return {table for table, _ in _contents(one, but) ^ _contents(other, but)}


def _contents(warehouse: Warehouse, but: Collection[str]) -> set[tuple[str, Row]]:
    columns: dict[str, list[str]] = {}
    for table, column, data_type in warehouse.rows("""
        select table_name, column_name, data_type
        from duckdb_columns()
        where database_name = 'bluesky' and column_name not in ('batch_number', 'redated_in')
    """):
        if column in but:
            continue
        # Sums of fractions depend on the order in which they are taken, in their last digits.
        columns.setdefault(table, []).append(f"round({column}, 9)" if data_type == "DOUBLE" else f'"{column}"')
    return {
        (table, warehouse.rows(f"select count(*), sum(hash({', '.join(names)})::hugeint) from {table}")[0])
        for table, names in columns.items()
    }
