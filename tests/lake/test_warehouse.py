"""A warehouse that cannot be opened is said in one line, by the job, by dbt alone and by the page; the lake is safe."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import duckdb
import pytest

from pipelines import bluesky, report
from pipelines.lake.bucket import LakeError
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.warehouse import build_warehouse
from tests.dbt_command import run_dbt

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipelines.sample.world.world import World
    from tests.conftest import Lake

HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


@pytest.fixture
def warehouse(lake: Lake) -> Path:
    path = lake.folder / "_data" / "sample" / "bluesky.duckdb"
    path.parent.mkdir(parents=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table numbers as from range(100000)")
    return path


def test_a_warehouse_that_is_open_elsewhere_is_one_line_for_job_and_page_and_dbt(
    warehouse: Path,
    world: World,
    parsed_project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (warehouse.parent / "target").mkdir()
    shutil.copy(parsed_project, warehouse.parent / "target")
    monkeypatch.setenv("DBT_TARGET_PATH", str(warehouse.parent / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(warehouse.parent / "logs"))
    command = [sys.executable, "-c", HOLD, str(warehouse)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "held\n"

        nils = world.actor("nils").did
        assert bluesky.main(["--sample", "--day", "1", "--actor", nils]) == 2, "the night is loaded"
        [line] = capfd.readouterr().err.splitlines()
        assert f"{warehouse} is open in another program" in line

        assert report.main(["--sample"]) == 1
        assert capfd.readouterr().err.splitlines() == [line]

        outcome = run_dbt("--log-level=error", "run", "--select=int_clock", "--target=sample")
        assert not outcome.success
        printed = "".join(capfd.readouterr())
        assert line in printed
        assert "Traceback" not in printed
        other.communicate()


def overwrite(path: Path) -> None:
    path.write_text("no database at all" * 100)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20_000])


def limit_memory(path: Path) -> None:
    config = path.parents[2] / ".dlt" / "config.toml"
    config.write_text(config.read_text().replace('memory_limit = "2GB"', 'memory_limit = "much"'))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [(overwrite, "delete the file"), (cut, "delete the file"), (limit_memory, "memory_limit in [warehouse]")],
)
def test_a_warehouse_that_cannot_be_opened_is_one_line_for_build_and_page(
    warehouse: Path, capsys: pytest.CaptureFixture[str], spoil: Callable[[Path], None], said: str
) -> None:
    spoil(warehouse)
    with pytest.raises(LakeError) as error:
        build_warehouse(is_sample=True)
    assert said in str(error.value)
    assert report.main(["--sample"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line == str(error.value)


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    ("allowed", "of_duckdb"),
    [
        ("2GB", "1.8GB"),
        ("1.5 GiB", "1350MiB"),
        ("9000000000000000000B", "8100000000000000000B"),
        ("none", "none"),
        ("-1", "none"),
    ],
)
def test_duckdb_gets_nine_tenths_of_the_memory_that_is_allowed(
    allowed: str, of_duckdb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE__MEMORY_LIMIT", allowed)
    with (
        duckdb_settings("bluesky_sample").open_warehouse() as opened,
        duckdb.connect(config={"memory_limit": of_duckdb}) as expected,
    ):
        asked = "select current_setting('memory_limit')"
        assert opened.execute(asked).fetchone() == expected.execute(asked).fetchone()


@pytest.mark.parametrize("settings", ["[warehouse", "", '[pipelines.bluesky_sample]\ndestination_type = "filesystem"'])
def test_settings_that_cannot_be_used_are_one_line_of_the_page(
    lake: Lake, capsys: pytest.CaptureFixture[str], settings: str
) -> None:
    (lake.folder / ".dlt" / "config.toml").write_text(settings)
    assert report.main(["--sample"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
