"""A lake in a local folder: files are there whole or not at all, and what cannot be used is said in one line."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.bluesky import main
from pipelines.lake.bucket import LakeError, check_lake, explain_lake_error, lake_location
from pipelines.lake.filesystems import AtomicLocalFileSystem

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World
    from tests.conftest import Lake

MIB = 1 << 20


def contents_seen_while(write: Callable[[int], None], target: Path) -> set[bytes]:
    """Read a file over and over while it is being written; give what was in it, in short."""
    seen: set[bytes] = set()
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.is_set():
            if target.exists():
                content = target.read_bytes()
                seen.add(b"%d of %s" % (len(content), b"".join(sorted({content[:1], content[-1:]}))))

    reader = threading.Thread(target=watch)
    reader.start()
    for number in range(12):
        write(number)
    is_over.set()
    reader.join()
    return seen


def test_a_reader_never_sees_a_part_of_a_file_that_is_copied_into_place(tmp_path: Path) -> None:
    files, target = AtomicLocalFileSystem(), tmp_path / "lake.parquet"
    sources = [tmp_path / name for name in ("a", "b")]
    for source in sources:
        source.write_bytes(source.name.encode() * (16 * MIB))
    seen = contents_seen_while(lambda number: files.cp_file(str(sources[number % 2]), str(target)), target)
    assert seen <= {b"%d of a" % (16 * MIB), b"%d of b" % (16 * MIB)}
    assert seen


def test_a_reader_never_sees_a_part_of_a_text_that_is_written(tmp_path: Path) -> None:
    files, target = AtomicLocalFileSystem(), tmp_path / "state.jsonl"
    seen = contents_seen_while(lambda number: files.write_text(str(target), "ab"[number % 2] * (4 * MIB)), target)
    assert seen <= {b"%d of a" % (4 * MIB), b"%d of b" % (4 * MIB)}
    assert seen


def test_a_copy_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    files, target = AtomicLocalFileSystem(), tmp_path / "lake.parquet"
    target.write_text("whole")
    with pytest.raises(FileNotFoundError):
        files.cp_file(str(tmp_path / "missing"), str(target))
    assert target.read_text() == "whole"


def test_what_a_crash_left_beside_the_files_disturbs_nobody(
    lake: Lake, sample_server: SampleServer, world: World
) -> None:
    actors = [world.actor("nils").did]
    lake.pull(sample_server, actors=actors)
    items = lake.query("select count(*) as items from author_feed")
    for file in list(lake.dataset.rglob("*.*")):
        if file.is_file():
            file.with_name(f".{file.name}.partial").write_bytes(b"half a f")
    pull = lake.pull(sample_server, actors=actors)
    assert (pull.exit_code, pull.run.new_item_count) == (0, 0)
    assert lake.query("select count(distinct item_uri) as items from author_feed") == items


def test_a_folder_that_is_not_there_is_made(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", "deep/er/lake")
    pipeline = lake.pipeline()
    check_lake(pipeline)
    assert (lake.folder / "deep" / "er" / "lake").is_dir()
    assert Path(lake_location(pipeline)) == lake.folder / "deep" / "er" / "lake" / "bluesky"


def test_a_folder_that_cannot_be_made_is_one_line(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (lake.folder / "file").write_text("in the way")
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", str(lake.folder / "file" / "lake"))
    with pytest.raises(LakeError, match="Not a directory"):
        check_lake(lake.pipeline())
    assert main([]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert str(lake.folder / "file" / "lake") in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_writable_is_one_line(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    (lake.folder / "theirs").mkdir(mode=0o500)
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", "theirs")
    with pytest.raises(LakeError, match="not writable"):
        check_lake(lake.pipeline())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
def test_a_full_disk_is_explained() -> None:
    with pytest.raises(OSError, match="No space") as error, Path("/dev/full").open("w") as full:
        full.write("a")
    assert "make room" in str(explain_lake_error(error.value))
