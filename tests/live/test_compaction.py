"""Few large files hold what many small ones held, for every reader, at every moment."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import dlt
import pytest

from pipelines.events.event_json import read_json_event
from pipelines.events.repo_event import Delivery
from pipelines.lake import compaction
from pipelines.lake.compaction import READERS_NEED, compact
from pipelines.lake.filesystems import AtomicLocalFileSystem
from pipelines.live import main
from pipelines.sources.repo_events import Batch, repo_events
from tests.conftest import isolated_lake

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.streams.events import StreamEvent
    from tests.live.conftest import LiveLake


@pytest.fixture(scope="module")
def small_files(tmp_path_factory: pytest.TempPathFactory, world_events: list[StreamEvent]) -> Path:
    """A lake into which five batches were loaded."""
    with isolated_lake(tmp_path_factory.mktemp("small")) as lake:
        for begin in range(0, 500, 100):
            batch = Batch("webhook", "127.0.0.1:8787", datetime.now(UTC))
            events = [read_json_event(event.jetstream_v2_payload, event.seq) for event in world_events[begin:][:100]]
            batch.add(Delivery([event for event in events if event]))
            dlt.pipeline("bluesky_webhook").run(repo_events(batch))
        return lake.dataset


@pytest.fixture
def lake_of_small_files(small_files: Path, live: LiveLake) -> LiveLake:
    shutil.copytree(small_files, live.lake.dataset)
    return live


def files(live: LiveLake) -> list[Path]:
    return sorted((live.lake.dataset / "repo_events").glob("*/*.parquet"))


def load_files(live: LiveLake) -> list[Path]:
    return sorted((live.lake.dataset / "_dlt_loads").iterdir())


def loads(live: LiveLake) -> list[str]:
    """The loads that dlt has noted, as often as a file does."""
    lines = [line for file in load_files(live) for line in file.read_text().splitlines()]
    return sorted(json.loads(line)["load_id"] for line in lines)


def pipeline() -> dlt.Pipeline:
    return dlt.pipeline("bluesky_compact")


def test_small_files_become_one_and_are_deleted_when_their_readers_have_had_time(lake_of_small_files):  # type: ignore[no-untyped-def]
    live = lake_of_small_files
    before, rows, complete = live.folded(), len(live.rows()), loads(live)
    small = files(live)
    assert len(small) == len(complete) == 5
    done = compact(pipeline())
    assert (done.replaced, done.written, done.deleted) == (2 * len(small), 2, 0)
    assert set(small) < set(files(live)), "a reader that listed the small files still finds them"
    assert live.folded() == before
    assert loads(live) == sorted(2 * complete)
    assert compact(pipeline()).written == 0, "what is compacted is not compacted again"
    done = compact(pipeline(), now=time.time() + READERS_NEED)
    assert done.deleted == 2 * len(small)
    assert len(files(live)) == len(load_files(live)) == 1
    assert live.folded() == before
    assert len(live.rows()) == rows
    assert loads(live) == complete


@pytest.mark.parametrize("failing_at", ["write", "upload", "write of loads", 0, 3, 7])
def test_a_crash_at_any_point_changes_nothing_for_readers(failing_at, lake_of_small_files, monkeypatch):  # type: ignore[no-untyped-def]
    live = lake_of_small_files
    before, rows, complete = live.folded(), len(live.rows()), loads(live)

    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    with monkeypatch.context() as patched:
        if failing_at == "write":
            patched.setattr("pyarrow.parquet.ParquetWriter.write_table", crash)
        elif failing_at == "upload":
            patched.setattr("pipelines.lake.filesystems.shutil.copyfile", crash)
        elif failing_at == "write of loads":
            patched.setattr("pipelines.lake.compacted_loads.json.dumps", crash)
        else:
            compact(pipeline())
            removed = iter(range(failing_at))
            remove = AtomicLocalFileSystem.rm_file
            patched.setattr(
                AtomicLocalFileSystem,
                "rm_file",
                lambda self, path: remove(self, path) if next(removed, None) is not None else crash(),
            )
        with pytest.raises(Crash):
            compact(pipeline(), now=time.time() + READERS_NEED)
    assert live.folded() == before
    assert {*loads(live)} == {*complete}
    compact(pipeline())
    compact(pipeline(), now=time.time() + READERS_NEED)
    assert live.folded() == before
    assert len(live.rows()) == rows
    assert len(files(live)) == 1
    assert loads(live) == complete


def test_large_files_and_too_many_rows_at_once_are_left_alone(lake_of_small_files, monkeypatch):  # type: ignore[no-untyped-def]
    live = lake_of_small_files
    monkeypatch.setattr(compaction, "MOST_ROWS", 300)
    before = live.folded()
    compact(pipeline())
    compact(pipeline(), now=time.time() + READERS_NEED)
    assert 2 <= len(files(live)) < 5
    assert live.folded() == before
    sizes = [file.stat().st_size for file in files(live)]
    monkeypatch.setattr(compaction, "LARGE_BYTES", min(sizes))
    monkeypatch.setattr(compaction, "MOST_ROWS", 10**6)
    assert compact(pipeline()).written == 0


def test_what_cannot_be_read_is_named_and_left_and_costs_no_other_file(lake_of_small_files, capsys):  # type: ignore[no-untyped-def]
    live = lake_of_small_files
    first, second, *others = files(live)
    whole = second.read_bytes()
    first.write_bytes(b"")
    second.write_bytes(whole[:40] + bytes(len(whole) // 2) + whole[40 + len(whole) // 2 :])
    for number, file in enumerate(others):
        file.rename(file.with_name(("compact-notes.parquet", "compact-1e9-x.parquet", "it's [a] file.parquet")[number]))
    others = sorted(set(files(live)) - {first, second})
    done = compact(pipeline())
    assert done.damaged.keys() == {str(first), str(second)}
    assert (done.replaced, done.written) == (len(others) + len(loads(live)) // 2, 2)
    compact(pipeline(), now=time.time() + READERS_NEED)
    assert len(files(live)) == 3, "both of the damaged ones, and one for the others"
    assert main(["compact"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert [line.split(" is damaged")[0] for line in said] == [str(first), str(second)]


@pytest.mark.usefixtures("live")
def test_where_nothing_is_to_be_done_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compact", "--sample"]) == 0
    assert capsys.readouterr().out == "There was nothing to compact.\n"
