"""`kill -9` at any point: after the next run nothing is missing, and at no time is anything in the lake broken."""

from __future__ import annotations

import json
import random
import shutil
import signal
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from dlt.common.versioned_state import decompress_state

from tests.job import AtCall, AtChange, run_job

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.appview.server import SampleServer
    from tests.conftest import Lake

KILLED = -signal.SIGKILL
MEMBERS = ("nils", "otto", "sofia", "ruth", "silent")
"""Some with one page of posts, some with two, one with none."""

APPVIEW = "pipelines.network.appview:AppView"
EXTRACT = "dlt.extract.storage:ExtractStorage"
LOAD_STORAGE = "dlt.common.storages.load_storage:LoadStorage"
PACKAGES = "dlt.common.storages.load_package:PackageStorage"
FILES = "dlt.destinations.impl.filesystem.filesystem:FilesystemClient"
FSSPEC = "fsspec.spec:AbstractFileSystem"

# A night has two loads: one of five data files, and one of at least one.
STAGES = {
    "the second package is in two folders": AtCall(LOAD_STORAGE, "commit_new_load_package", "after", 2),
    "dlt's load folder is half made": AtCall(LOAD_STORAGE, "initialize_storage", "before"),
    "data file 6 is half there": AtCall("shutil", "copyfile", "half", 6),
    "the first state is there, _dlt_loads not": AtCall(FILES, "_store_load", "before"),
    "the package is marked as done, not put away": AtCall(PACKAGES, "complete_loading_package", "after", 2),
}
MORE_STAGES = {
    "page 6 was read": AtCall(APPVIEW, "feed_page", "after", 6),
    "the lake's first file is half there": AtCall(FSSPEC, "write_text", "half"),
    "the second state is half there": AtCall(FSSPEC, "write_text", "half", 5),
    "page 2 was read": AtCall(APPVIEW, "feed_page", "after", 2),
    "the second package is extracted": AtCall(EXTRACT, "commit_new_load_package", "after", 2),
    "normalize has begun again": AtCall(LOAD_STORAGE, "import_extracted_package", "after", 2),
    "the lake is an empty folder": AtCall(FSSPEC, "write_text", "before"),
    "data file 1 is half there": AtCall("shutil", "copyfile", "half", 1),
    "data file 6 is there": AtCall("shutil", "copyfile", "after", 6),
    "all data files are there": AtCall(FILES, "complete_load", "before", 2),
    "the first state is half there": AtCall(FSSPEC, "write_text", "half", 3),
    "the second state is there, _dlt_loads not": AtCall(FILES, "_store_load", "before", 2),
    **{f"page {n} was read": AtCall(APPVIEW, "feed_page", "after", n) for n in (1, 3, 4, 5, 7)},
    **{f"package {n} is not committed": AtCall(EXTRACT, "commit_new_load_package", "before", n) for n in (1, 2)},
    "the first package is extracted": AtCall(EXTRACT, "commit_new_load_package", "after"),
    "normalize has begun": AtCall(LOAD_STORAGE, "import_extracted_package", "after"),
    **{f"package {n} is normalized": AtCall(LOAD_STORAGE, "commit_new_load_package", "before", n) for n in (1, 2)},
    "the first package is in two folders": AtCall(LOAD_STORAGE, "commit_new_load_package", "after"),
    "the lake is not made yet": AtCall(FILES, "initialize_storage", "before"),
    "the schema is half there": AtCall(FSSPEC, "write_text", "half", 2),
    **{f"data file {n} is half there": AtCall("shutil", "copyfile", "half", n) for n in (2, 3, 4, 5)},
    **{f"data file {n} is there": AtCall("shutil", "copyfile", "after", n) for n in (1, 2, 3, 4, 5)},
    **{f"_dlt_loads is half there, load {n}": AtCall(FSSPEC, "write_text", "half", 2 + 2 * n) for n in (1, 2)},
    **{f"load {n} is complete": AtCall(FILES, "complete_load", "after", n) for n in (1, 2)},
    **{f"package {n} is put away": AtCall(LOAD_STORAGE, "complete_load_package", "after", n) for n in (1, 2)},
}


@dataclass
class Nights:
    """Nights over the same few members, each in a process of its own.

    Attributes:
        project: The folder that holds `.dlt`.
        bucket: Where the lake is, by the settings there.
        working_folder: dlt's own.
        names: Who is followed.
    """

    server: SampleServer
    project: Path
    bucket: Path
    working_folder: Path
    names: tuple[str, ...] = MEMBERS

    def run(self, death: AtCall | AtChange | None = None) -> int:
        settings = {
            "DLT_PROJECT_DIR": str(self.project),
            "DLT_DATA_DIR": str(self.working_folder),
            "DESTINATION__FILESYSTEM__BUCKET_URL": str(self.bucket.relative_to(self.project)),
            "SOURCES__BLUESKY__SERVICE": self.server.url,
            "SOURCES__BLUESKY__STARTER_PACKS": "[]",
            "SOURCES__BLUESKY__ACTORS": json.dumps(self.members),
            "SOURCES__BLUESKY__REQUESTS_PER_SECOND": "10000",
            # One member after the other, so that a load is full after some of them and a run has several loads.
            "EXTRACT__WORKERS": "1",
            "EXTRACT__MAX_PARALLEL_ITEMS": "2",
        }
        output = self.project / "output.txt"
        code = run_job(settings, output, death=death, items_per_load=200)
        assert code in (0, KILLED), output.read_text()
        return code

    @property
    def dataset(self) -> Path:
        return self.bucket / "bluesky"

    @property
    def members(self) -> list[str]:
        return [self.server.world.actor(name).did for name in self.names]

    def lose_working_folder(self) -> None:
        shutil.rmtree(self.working_folder, ignore_errors=True)

    def feed_items(self, day: int) -> dict[tuple[str, str], datetime]:
        """What is true on an evening: when each item was indexed, by member and URI."""
        feeds = self.server.world.on(day)
        return {
            (did, item.uri): (item.repost or item.post).indexed_at for did in self.members for item in feeds.feed(did)
        }

    def items(self) -> set[tuple[str, str]]:
        files = [str(file) for file in (self.dataset / "author_feed").rglob("*.parquet")]
        if not files:
            return set()
        with duckdb.connect() as connection:
            rows = connection.execute("select distinct member_did, item_uri from read_parquet($1)", [files])
            return set(rows.fetchall())

    def cursors(self) -> dict[str, datetime]:
        """The cursors as the next run would find them on another machine, by DID."""
        files = sorted((self.dataset / "_dlt_pipeline_state").glob("*.jsonl"))
        if not files:
            return {}
        state: Any = decompress_state(json.loads(files[-1].read_text())["state"])
        members = state["sources"]["bluesky"]["resources"]["author_feed"]["members"]
        return {did: datetime.fromisoformat(kept["cursor"]) for did, kept in members.items() if kept["cursor"]}

    def assert_whole(self) -> None:
        """Every file that a reader would take can be read, and no cursor is ahead of what is there."""
        with duckdb.connect() as connection:
            for file in self.dataset.rglob("*.parquet"):
                connection.sql(f"select * from read_parquet('{file}')").fetchall()
        for file in self.dataset.rglob("*.jsonl"):
            json.loads(file.read_text())
        items, cursors = self.items(), self.cursors()
        for (did, uri), indexed_at in self.feed_items(self.server.day).items():
            if did in cursors and indexed_at <= cursors[did]:
                assert (did, uri) in items

    def assert_complete(self) -> None:
        """The cursors are those of the evening that was read last."""
        newest: dict[str, datetime] = {}
        for (did, _), indexed_at in self.feed_items(self.server.day).items():
            newest[did] = max(indexed_at, newest.get(did, indexed_at))
        assert self.cursors() == newest


@pytest.fixture
def nights(lake: Lake, sample_server: SampleServer) -> Nights:
    return Nights(sample_server, lake.folder, lake.folder / "_data" / "lake", lake.folder.with_name("working_folder"))


@pytest.mark.parametrize(
    "is_folder_lost",
    [pytest.param(False, id="folder kept"), pytest.param(True, id="folder lost", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    "stage",
    [
        *(pytest.param(stage, id=name) for name, stage in STAGES.items()),
        *(pytest.param(stage, id=name, marks=pytest.mark.slow) for name, stage in MORE_STAGES.items()),
    ],
)
def test_killed_when(nights: Nights, stage: AtCall, is_folder_lost: bool) -> None:
    assert nights.run(stage) == KILLED
    nights.assert_whole()
    if is_folder_lost:
        nights.lose_working_folder()
    assert nights.run() == 0
    nights.assert_whole()
    nights.assert_complete()
    assert nights.items() == nights.feed_items(1).keys()


@pytest.mark.parametrize(
    ("count", "seed"), [(3, 0), *(pytest.param(10, seed, marks=pytest.mark.slow) for seed in range(10))]
)
def test_kills_at_random_moments(nights: Nights, count: int, seed: int) -> None:
    chance = random.Random(seed)
    kills = 0
    while kills < count:
        nights.server.day = 1 + kills // 3
        code = nights.run(AtChange(chance.randint(1, 300)))
        assert code in (KILLED, 0)
        kills += code == KILLED
        nights.assert_whole()
        if chance.random() < 0.5:
            nights.lose_working_folder()
    assert nights.run() == 0
    nights.assert_whole()
    nights.assert_complete()
    seen = set().union(*(nights.feed_items(day) for day in range(1, nights.server.day + 1)))
    assert nights.feed_items(nights.server.day).keys() <= nights.items() <= seen


def test_what_was_extracted_is_not_asked_for_again(nights: Nights) -> None:
    assert nights.run(STAGES["the second package is in two folders"]) == KILLED
    nights.server.requests.clear()
    assert nights.run() == 0
    pages = Counter(request.params["actor"] for request in nights.server.requests if "getAuthorFeed" in request.nsid)
    assert pages == dict.fromkeys(nights.members, 1)


def test_what_is_pending_stays_with_its_lake(nights: Nights) -> None:
    """In another lake, its cursors would claim what is not there."""
    own, other = nights.bucket, nights.project / "_data" / "other_lake"
    nights.bucket, nights.names = other, MEMBERS[:1]
    assert nights.run() == 0
    nights.bucket, nights.names = own, MEMBERS
    assert nights.run(AtCall(FILES, "complete_load", "before", 2)) == KILLED
    nights.bucket = other
    assert nights.run() == 0
    nights.assert_whole()
    assert nights.items() == nights.feed_items(1).keys()


def test_a_project_that_was_moved_takes_its_lake_along(nights: Nights) -> None:
    assert nights.run() == 0
    before = nights.project
    nights.project = before.rename(before.with_name("moved"))
    nights.bucket = nights.project / "_data" / "lake"
    nights.server.requests.clear()
    assert nights.run() == 0
    assert len([request for request in nights.server.requests if "getAuthorFeed" in request.nsid]) == len(MEMBERS)
    assert not before.exists()
