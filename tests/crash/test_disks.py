"""A disk without room, or that takes no file, under each place a job writes to: one line that names it, nothing broken.

With room, the next run ends well.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pipelines import report
from pipelines.events.spool import Spool
from pipelines.lake.bucket import LakeError
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.network.errors import ServiceFailed
from pipelines.report import ReportError
from pipelines.warehouse import build_warehouse
from tests.disks import filled, read_only, small_disk

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
        pytest.param("working_folder", nearly_full(200 * KIB), id="not all can be normalized"),
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
