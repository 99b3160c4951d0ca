"""`kill -9` at any point: after the next run nothing is missing, and at no time is anything in the lake broken."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.crash.conftest import KILLED, MEMBERS
from tests.job import AtCall
from tests.seeds import RARE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _pytest.mark.structures import ParameterSet

    from tests.crash.conftest import Nights

APPVIEW = "pipelines.network.appview:AppView"
EXTRACT = "dlt.extract.storage:ExtractStorage"
LOAD_STORAGE = "dlt.common.storages.load_storage:LoadStorage"
PACKAGES = "dlt.common.storages.load_package:PackageStorage"
FILES = "dlt.destinations.impl.filesystem.filesystem:FilesystemClient"
FSSPEC = "fsspec.spec:AbstractFileSystem"

# A night has two loads, of three members and of two: one of five data files, and one of at least one.
STAGES = {
    "data file 6 is half there": AtCall("shutil", "copyfile", "half", 6),
    "the first state is there, _dlt_loads not": AtCall(FILES, "_store_load", "before"),
}
MORE_STAGES = {
    "the second package is in two folders": AtCall(LOAD_STORAGE, "commit_new_load_package", "after", 2),
    "dlt's load folder is half made": AtCall(LOAD_STORAGE, "initialize_storage", "before"),
    "the package is marked as done, not put away": AtCall(PACKAGES, "complete_loading_package", "after", 2),
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
    "page 7 was read": AtCall(APPVIEW, "feed_page", "after", 7),
    **{f"package {n} is not committed": AtCall(EXTRACT, "commit_new_load_package", "before", n) for n in (1, 2)},
    "the first package is extracted": AtCall(EXTRACT, "commit_new_load_package", "after"),
    "normalize has begun": AtCall(LOAD_STORAGE, "import_extracted_package", "after"),
    **{f"package {n} is normalized": AtCall(LOAD_STORAGE, "commit_new_load_package", "before", n) for n in (1, 2)},
    "the first package is in two folders": AtCall(LOAD_STORAGE, "commit_new_load_package", "after"),
    "the lake is not made yet": AtCall(FILES, "initialize_storage", "before"),
    "the schema is half there": AtCall(FSSPEC, "write_text", "half", 2),
    "data file 1 is there": AtCall("shutil", "copyfile", "after", 1),
    **{f"_dlt_loads is half there, load {n}": AtCall(FSSPEC, "write_text", "half", 2 + 2 * n) for n in (1, 2)},
    **{f"load {n} is complete": AtCall(FILES, "complete_load", "after", n) for n in (1, 2)},
    **{f"package {n} is put away": AtCall(LOAD_STORAGE, "complete_load_package", "after", n) for n in (1, 2)},
}
STAGES_BETWEEN = {
    **{f"page {n} was read": AtCall(APPVIEW, "feed_page", "after", n) for n in (1, 3, 4, 5)},
    **{f"data file {n} is half there": AtCall("shutil", "copyfile", "half", n) for n in (2, 3, 4, 5)},
    **{f"data file {n} is there": AtCall("shutil", "copyfile", "after", n) for n in (2, 3, 4, 5)},
}


def cases() -> Iterator[ParameterSet]:
    """Each stage; without the working folder only where the lake changes, since it is all that the next run finds."""
    for name, stage in (STAGES | MORE_STAGES | STAGES_BETWEEN).items():
        marks = RARE if name in STAGES_BETWEEN else pytest.mark.slow
        yield pytest.param(stage, False, id=name, marks=() if name in STAGES else marks)
        if stage.owner in (FILES, FSSPEC, "shutil"):
            lost_marks = pytest.mark.slow if name in STAGES else RARE
            yield pytest.param(stage, True, id=f"{name}, folder lost", marks=lost_marks)


@pytest.mark.parametrize(("stage", "is_folder_lost"), [*cases()])
def test_killed_when(nights: Nights, stage: AtCall, is_folder_lost: bool) -> None:
    assert nights.run(stage) == KILLED
    nights.assert_whole()
    if is_folder_lost:
        nights.lose_working_folder()
    assert nights.run() == 0
    nights.assert_whole()
    nights.assert_complete()
    assert nights.items() == nights.feed_items(1).keys()


def test_what_was_extracted_is_not_asked_for_again(nights: Nights) -> None:
    assert nights.run(MORE_STAGES["the second package is in two folders"]) == KILLED
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
