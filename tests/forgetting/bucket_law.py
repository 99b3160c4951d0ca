"""What holds of somebody who is forgotten in a lake that is in a bucket: of all that is in it, and on this machine."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING
from unittest.mock import patch

import duckdb

from pipelines.lake.bucket import use_project_settings
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.lake.filesystems import use_lake_filesystems
from tests.conftest import Lake, shared_world
from tests.dbt_command import run_dbt
from tests.forgetting.lakes import Person, found_in, load_events, person, rows_of_others

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tests.bucket_nights import BucketNights

FOUNDER = "mikkel"
OTHERS = ("bia", "wei", "kenji")
FULL_NIGHT = ("--no-catch-up",)
"""With checks, audits of everybody who has had none, the build and the page."""


def load_events_there(environment: Mapping[str, str], day: int, count: int) -> None:
    """Load and compact events, in a process that knows of the bucket by its environment."""
    with patch.dict(os.environ, environment):
        use_project_settings()
        use_lake_filesystems()
        load_events(shared_world(), day, count)


def assert_somebody_is_forgotten_for_good(
    nights: BucketNights, load_there: Callable[[Mapping[str, str], int, int], object]
) -> None:
    """Forget the founder of a pack; then restore what caches may hold, pull, audit, build, and build all anew.

    Args:
        nights: None of them yet.
        load_there: Calls `load_events_there`, in whatever process reaches the bucket.
    """
    world = nights.server.world
    did = world.actor(FOUNDER).did
    nights.names, nights.packs = (FOUNDER, *OTHERS), (world.packs[1].uri,)
    for day in (1, 2):
        nights.server.day = day
        assert nights.run("machine") == 0, nights.output
    working_folder = nights.project / "machine"
    environment = {"DLT_PROJECT_DIR": str(nights.project), "DLT_DATA_DIR": str(working_folder)}
    load_there(nights.bucket | environment, 2, 600)
    before = downloaded(nights, "before")
    theirs, others = person(world, before, did), rows_of_others(before, did)
    kept = {string for string, _ in found_in(before.folder, theirs.strings)}
    assert kept == set(theirs.strings)
    cache = nights.project.with_name("cache")
    shutil.copytree(working_folder, cache)
    with patch.dict(os.environ, nights.bucket):
        warehouse = duckdb_settings("bluesky").warehouse_path
    hold(warehouse, theirs)
    nights.query(f"copy (select '{did}') to '$bucket/warehouse/{warehouse.name}' (format csv)")

    assert nights.run("machine", "--forget", f"@{theirs.strings[2]}") == 0, nights.output
    assert rows_of_others(assert_is_nowhere(nights, theirs, "after"), did) == others

    hold(warehouse, theirs)
    shutil.rmtree(working_folder, ignore_errors=True)
    cache.rename(working_folder)
    nights.server.day = 3
    nights.server.requests.clear()
    assert nights.run("machine", *FULL_NIGHT) == 2, nights.output
    assert "starter_packs in [sources.bluesky] names somebody who is forgotten" in nights.output
    assert " verified\n" in nights.output
    assert not [request for request in nights.server.requests if did in str(request)]
    assert_is_nowhere(nights, theirs, "a full night later")
    built = items_in(warehouse, [world.actor(name).did for name in OTHERS])

    with patch.dict(os.environ, nights.bucket | nights.dbt_folders):
        outcome = run_dbt("build", "--full-refresh", "--select=+int_feed_items")
    assert outcome.success, outcome.exception or outcome.result
    assert_is_nowhere(nights, theirs, "built anew")
    nights.names = OTHERS
    for day in (1, 2, 3):
        nights.expect(day)
    assert items_in(warehouse, nights.members) == built == nights.feeds


def downloaded(nights: BucketNights, name: str) -> Lake:
    """Give a copy, in a folder, of all that is in the lake's place."""
    copy = Lake(nights.project.with_name(name))
    lake = copy.dataset.parent
    files = "select filename[length('$bucket/') + 1:], content from read_blob('$bucket/**')"
    for path, content in nights.query(files):
        file = lake / str(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)  # type: ignore[arg-type]
    return copy


def assert_is_nowhere(nights: BucketNights, theirs: Person, name: str) -> Lake:
    """See that no byte in the bucket, and none that a job wrote on this machine, is of somebody."""
    copy = downloaded(nights, name)
    assert found_in(copy.folder, theirs.strings) == []
    for folder in ("_data", "machine", "target", "logs"):
        assert found_in(nights.project / folder, theirs.strings) == []
    return copy


def hold(warehouse: Path, theirs: Person) -> None:
    """Make a warehouse that has what is theirs."""
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create table people as select unnest($1) as said", [list(theirs.strings)])


def items_in(warehouse: Path, members: list[str]) -> set[tuple[object, ...]]:
    query = "select member_did, item_uri from int_feed_items where member_did in (select unnest($1))"
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return set(connection.execute(query, [members]).fetchall())
