"""A disk without room, or that takes no file, under each place a job writes to: one line that names it, nothing broken.

With room, the next run ends well.
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

import duckdb
import networkx as nx
import pytest

from pipelines import report, warehouse
from pipelines.events.spool import Spool
from pipelines.exports.graph import write_graph
from pipelines.lake.bucket import LakeError, explain_lake_error
from pipelines.lake.duckdb_settings import duckdb_settings, explain_warehouse_error, open_warehouse
from pipelines.network.car import spooled
from pipelines.network.errors import ServiceFailed
from pipelines.report import ReportError
from pipelines.sample.appview.repo_writer import car_of
from pipelines.warehouse import build_warehouse
from tests.disks import MIB, filled, read_only, small_disk
from tests.network.repo_writer import repository

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.conftest import Lake
    from tests.crash.conftest import Nights

    Trouble = Callable[[Path], AbstractContextManager[None]]

KIB = 1 << 10


def nearly_full(but: int) -> Trouble:
    return partial(filled, but=but)


@pytest.mark.parametrize(
    ("place", "trouble"),
    [
        pytest.param("working_folder", nearly_full(0), id="nothing can be extracted", marks=pytest.mark.slow),
        pytest.param("working_folder", nearly_full(200 * KIB), id="not all can be normalized", marks=pytest.mark.slow),
        pytest.param("bucket", nearly_full(0), id="nothing can be loaded", marks=pytest.mark.slow),
        pytest.param("bucket", nearly_full(32 * KIB), id="not all can be loaded"),
        pytest.param("working_folder", read_only, id="dlt's folder is read-only", marks=pytest.mark.slow),
        pytest.param("bucket", read_only, id="the lake is read-only", marks=pytest.mark.slow),
    ],
)
def test_a_pull_onto_a_disk_that_takes_nothing(nights: Nights, place: str, trouble: Trouble) -> None:
    folder: Path = getattr(nights, place)
    with small_disk(folder):
        with trouble(folder):
            assert nights.run(ends=(1,)) == 1
        *progress, line = nights.output.read_text().splitlines()
        assert all(said.endswith(" requests") for said in progress), progress
        assert str(folder) in line
        assert ("make room" in line) == (trouble is not read_only)
        nights.assert_whole()
        assert nights.run() == 0
        nights.assert_whole()
        nights.assert_complete()
        assert nights.items() == nights.feed_items(1).keys()


@contextmanager
def disk_in_trouble(folder: Path, trouble: Trouble) -> Iterator[None]:
    with small_disk(folder), trouble(folder):
        yield


TROUBLES = pytest.mark.parametrize("trouble", [nearly_full(0), read_only], ids=["full", "read-only"])


@TROUBLES
def test_a_page_that_cannot_be_written_stays_as_it_was(tmp_path: Path, trouble: Trouble) -> None:
    page = tmp_path / "disk" / "report.html"
    with small_disk(page.parent):
        page.write_text("the page of yesterday")
        with trouble(page.parent), pytest.raises(ReportError, match=str(page)):
            report._write(page, b"x" * 100_000)
        assert [(file.name, file.read_text()) for file in page.parent.iterdir()] == [
            ("report.html", "the page of yesterday")
        ]


@TROUBLES
def test_a_spool_that_cannot_be_made_is_one_line(tmp_path: Path, trouble: Trouble) -> None:
    with (
        disk_in_trouble(tmp_path / "disk", trouble),
        pytest.raises(ServiceFailed, match=r"disk/spool\.sqlite") as error,
    ):
        Spool(tmp_path / "disk" / "spool.sqlite")
    assert "\n" not in str(error.value)


@TROUBLES
def test_a_warehouse_that_cannot_be_made_is_one_line(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, trouble: Trouble
) -> None:
    folder = lake.folder / "warehouse"
    monkeypatch.setenv("PIPELINES__BLUESKY_SAMPLE__WAREHOUSE", str(folder / "bluesky.duckdb"))
    with disk_in_trouble(folder, trouble), pytest.raises(LakeError, match=str(folder)) as error:
        duckdb_settings("bluesky_sample").open_warehouse()
    assert "delete the file" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.slow
def test_a_build_whose_notes_find_no_room_is_one_line(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """dbt would say it in a stack trace."""
    target = lake.folder / "target"
    monkeypatch.setenv("DBT_TARGET_PATH", str(target))
    monkeypatch.setenv("DBT_LOG_PATH", str(lake.folder / "logs"))
    with disk_in_trouble(target, nearly_full(KIB * 64)), pytest.raises(LakeError, match=f"room.*{target}"):
        build_warehouse(is_sample=True)
    assert "Traceback" not in "".join(capfd.readouterr())


def test_a_warehouse_that_finds_no_room_for_what_it_spills(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 2) as disk, open_warehouse(disk / "bluesky.duckdb", "32MB") as marts:
        with pytest.raises(duckdb.OutOfMemoryException) as error:
            marts.execute(
                "create temp table t as select md5(range::varchar) || range as a from range(900000) order by a"
            )
        for said in (
            explain_warehouse_error(disk / "bluesky.duckdb", error.value),
            warehouse._trouble_of_disk(None, [f"Runtime Error in model x\n{error.value}"], disk / "bluesky.duckdb"),
        ):
            assert f"The warehouse {disk / 'bluesky.duckdb'} has no room on its disk. Nothing is lost" in str(said)
            assert "\n" not in str(said)
        assert "There is no room on the disk" in str(explain_lake_error(error.value))


def small_index(_: str) -> sqlite3.Connection:
    """Stands for an index that spills: where that goes, SQLite reads from the environment once."""
    index = sqlite3.connect("")
    index.execute("PRAGMA max_page_count = 10")
    return index


@pytest.mark.parametrize("but", [-64 * KIB, 64 * KIB], ids=["for it", "for its index"])
def test_a_repository_that_finds_no_room_names_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, but: int
) -> None:
    car = car_of(repository({f"app.bsky.feed.post/{number}": {"n": number} for number in range(2_000)}))
    pages = -(-len(car) // 4096)
    monkeypatch.setattr("pipelines.network.car.sqlite3", SimpleNamespace(**vars(sqlite3) | {"connect": small_index}))
    with small_disk(tmp_path / "disk", 2) as disk, filled(disk, but=pages * 4096 + but):
        monkeypatch.setattr(tempfile, "tempdir", str(disk))
        with pytest.raises(OSError, match=f"No space left on device: '{disk}'"), spooled([car], MIB):
            pass


@TROUBLES
def test_a_graph_that_cannot_be_written_is_named(tmp_path: Path, trouble: Trouble) -> None:
    graph = nx.path_graph(2000)
    with disk_in_trouble(tmp_path / "disk", trouble), pytest.raises(OSError, match=r"disk/\.?graph.gexf"):
        write_graph(nx.relabel_nodes(graph, str), "gexf", tmp_path / "disk" / "graph.gexf")
