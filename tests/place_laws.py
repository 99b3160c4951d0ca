"""What holds of a lake in any place, beyond that what dlt writes is read: in compaction, and in the nightly's steps."""

from __future__ import annotations

import runpy
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from unittest.mock import patch

import duckdb

from pipelines import live
from pipelines.lake.bucket import PROJECT_ROOT, filesystem_client
from pipelines.lake.compaction import READERS_NEED, compact
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.lake.lease import Lease, LeaseTaken
from pipelines.lake.tables import REPO_EVENTS

if TYPE_CHECKING:
    import dlt


def load_small_files(pipeline: dlt.Pipeline, count: int) -> None:
    """Load one row after the other into a table that is compacted."""
    for number in range(count):
        row = {"did": f"did:plc:{number}", "event_at": datetime.now(UTC)}
        pipeline.run([row], table_name=REPO_EVENTS.name, loader_file_format="parquet")


def assert_compaction_stays_there(pipeline: dlt.Pipeline) -> None:
    """Make one file of the small ones by the command; an hour later it is alone. dbt finds every row all the while."""
    small = _rows_by_file()
    assert live.main(["compact"]) == 0
    assert _rows_by_file() == small | {"compact": sum(small.values())}
    compact(pipeline, now=time.time() + READERS_NEED)
    assert _rows_by_file() == {"compact": sum(small.values())}


def assert_one_of_many_has_a_lease(pipeline: dlt.Pipeline) -> None:
    """Let eight try to make the same lease at once, as eight machines would."""
    client = filesystem_client(pipeline)
    folder = f"{client.dataset_path.rstrip('/')}/_leases"
    client.fs_client.makedirs(folder, exist_ok=True)
    ready = threading.Barrier(8)

    def has_it(_: int) -> bool:
        ready.wait()
        try:
            Lease(client.fs_client, folder, 1)
        except LeaseTaken:
            return False
        return True

    with ThreadPoolExecutor(8) as machines:
        assert sum(machines.map(has_it, range(8))) == 1


def _rows_by_file() -> Counter[str]:
    """Count the rows that dbt would read: by file, and those of compacted files together."""
    settings = duckdb_settings("bluesky")
    with duckdb.connect() as connection:
        settings.configure(connection)
        paths = connection.execute(
            "select filename from read_parquet($1, filename = true)",
            [f"{settings.lake_pattern}/{REPO_EVENTS.name}/**/*.parquet"],
        ).fetchall()
    names = (path.rpartition("/")[2] for (path,) in paths)
    return Counter("compact" if name.startswith("compact-") else name for name in names)


def assert_the_nightly_fetches_the_warehouse_that_it_kept() -> None:
    folder = PROJECT_ROOT / ".github" / "nightly"
    with patch("sys.path", [str(folder), *sys.path]):  # As Python itself begins a script.
        script = runpy.run_path(str(folder / "warehouse.py"))
    warehouse = duckdb_settings("bluesky").warehouse_path
    warehouse.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create table kept as select 7 as number")
    assert script["main"]("keep") == 0
    warehouse.unlink()
    assert script["main"]("fetch") == 0
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        assert connection.execute("from kept").fetchall() == [(7,)]
