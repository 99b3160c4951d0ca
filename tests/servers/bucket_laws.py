"""What holds for a lake in any bucket."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import duckdb
import pytest

from pipelines.lake.bucket import PROJECT_ROOT
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.sample.streams.events import StreamEvent
from pipelines.sample.streams.jetstream import SampleJetstream
from pipelines.sample.world.days import evening
from tests.dbt_command import run_dbt
from tests.forgetting.bucket_law import assert_somebody_is_forgotten_for_good, load_events_there
from tests.job import AtCall
from tests.servers.bucket_jobs import compete_for_a_lease, stream_and_compact

if TYPE_CHECKING:
    from collections.abc import Mapping
    from concurrent.futures import ProcessPoolExecutor

    from pipelines.sample.world.world import World
    from tests.bucket_nights import BucketNights
    from tests.servers.bucket_servers import BucketServer

FILES = "dlt.destinations.impl.filesystem.filesystem:FilesystemClient"
MIB = 1 << 20
KEEP_WAREHOUSE = PROJECT_ROOT / ".github" / "nightly" / "warehouse.py"


def run_command(nights: BucketNights, *words: str | Path, folder: Path = PROJECT_ROOT, exit_code: int = 0) -> str:
    """Run a command as a user does, and give what it said."""
    done = subprocess.run(
        words,
        cwd=folder,
        env=os.environ | nights.bucket | places(nights),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == exit_code, done.stdout
    return done.stdout


def places(nights: BucketNights) -> dict[str, str]:
    """Keep what is written in the project's folder."""
    return nights.dbt_folders | {"DLT_LOCAL_DIR": str(nights.project), "HOME": str(nights.project / "home")}


def dlt_settings() -> dict[str, str]:
    """Give what a new process needs to find the same lake."""
    return {name: value for name, value in os.environ.items() if name.startswith("DLT_")}


def dbt(nights: BucketNights, *words: str) -> None:
    with patch.dict(os.environ, places(nights)):
        outcome = run_dbt(*words)
    assert outcome.success, outcome.exception or outcome.result


def warehouse_items(nights: BucketNights) -> set[tuple[object, ...]]:
    with duckdb.connect(str(duckdb_settings("bluesky").warehouse_path), read_only=True) as warehouse:
        return set(warehouse.execute("select member_did, item_uri from int_feed_items").fetchall())


def assert_is_one_line(nights: BucketNights, server: BucketServer, setting: str, value: str, said: str) -> None:
    """With a wrong setting the job says so in one line, before anybody is asked."""
    nights.bucket = {f"DESTINATION__FILESYSTEM__{setting}": value}
    assert nights.run("machine") == 1
    assert nights.output.startswith(said), nights.output
    assert nights.output.count("\n") == 1, nights.output
    assert not [secret for secret in server.secrets if secret in nights.output]
    assert nights.server.requests == []


class BucketLaws:
    """Inherited by each server's tests, whose module has the fixture `bucket_server`."""

    def test_nights_on_new_machines_and_dbt_alone(self, nights: BucketNights, bucket_server: BucketServer) -> None:
        nights.assert_a_pull_goes_on_from_another_machine(days=2)
        said = run_command(
            nights,
            Path(sys.executable).with_name("dbt"),
            "build",
            "--select=+int_feed_items",
            folder=PROJECT_ROOT / "dbt",
        )
        assert warehouse_items(nights) == nights.feeds

        # What was read once is not read again: it could not be.
        for (file,) in nights.query("select file from glob('$lake/author_feed/**/*.parquet')"):
            nights.query(f"copy (select 'no longer a table') to '{file}' (format csv)")
        assert nights.pull(3, "machine 3") == dict.fromkeys(nights.members, 1)
        dbt(nights, "build", "--select=+int_feed_items")
        assert warehouse_items(nights) == nights.feeds
        dbt(nights, "source", "freshness")

        assert not [secret for secret in bucket_server.secrets if secret in nights.output + said]
        assert not list(nights.project.rglob("*.duckdb_extension*")), "nothing is downloaded"

    def test_a_killed_night_is_made_good(self, nights: BucketNights) -> None:
        nights.pull(1, "machine")
        nights.server.day = 2
        # Its state is in the bucket, and nothing says that it is complete.
        assert nights.run("machine", death=AtCall(FILES, "_store_load", "before")) == -9
        # The next run finishes it, and dies in its own load.
        assert nights.run("machine", death=AtCall(FILES, "complete_load", "before", 2)) == -9
        assert nights.pull(3, "another machine") == dict.fromkeys(nights.members, 1)
        nights.expect(2)
        assert nights.items() == nights.feeds

    def test_the_live_job_goes_on_and_its_small_files_become_one(
        self, nights: BucketNights, new_python: ProcessPoolExecutor, world: World
    ) -> None:
        nights.pull(1, "machine")
        log = enumerate(world.events(evening(0), evening(3)), start=1)
        events = [StreamEvent(number, event) for number, event in log]
        with SampleJetstream(events) as jetstream:
            leg = new_python.submit(stream_and_compact, jetstream.url, dlt_settings()).result()
        assert leg.members == set(nights.members)
        assert leg.loaded == (len(events), 0), "the position is found in the bucket"
        first, second = leg.compactions
        assert first.replaced == first.waiting == second.deleted > 1
        assert (first.written, second.written, second.waiting) == (2, 0, 0), "events, and dlt's notes of loads"
        files = "'$lake/repo_events/**/*.parquet'"
        assert len(nights.query(f"from glob({files})")) == 1
        rows = nights.query(f"select count(*), count(distinct position) from read_parquet({files})")
        assert rows == [(len(events), len(events))]

    def test_somebody_is_forgotten_for_good(self, nights: BucketNights, new_python: ProcessPoolExecutor) -> None:
        def load_there(environment: Mapping[str, str], day: int, count: int) -> None:
            new_python.submit(load_events_there, environment, day, count).result()

        assert_somebody_is_forgotten_for_good(nights, load_there)

    @pytest.mark.usefixtures("nights")
    def test_of_those_who_try_at_once_one_has_the_lease(self, new_python: ProcessPoolExecutor) -> None:
        new_python.submit(compete_for_a_lease, dlt_settings()).result()

    def test_the_nightly_keeps_a_large_warehouse_in_the_bucket(self, nights: BucketNights) -> None:
        settings = duckdb_settings("bluesky")
        warehouse = settings.warehouse_path
        last_nights = f"{settings.lake_path.removesuffix('bluesky')}warehouse/{warehouse.name}"
        nights.query(f"copy (select 'to be replaced') to '{last_nights}' (format csv)")
        warehouse.parent.mkdir()
        with duckdb.connect(str(warehouse)) as connection:
            connection.execute("create table noise as select uuid() as id from range(7_000_000)")
        said = run_command(nights, sys.executable, KEEP_WAREHOUSE, "keep")
        assert "/warehouse/bluesky.duckdb" in said
        kept = warehouse.read_bytes()
        assert len(kept) > 100 * MIB, "so large that it is sent in parts"
        warehouse.unlink()
        run_command(nights, sys.executable, KEEP_WAREHOUSE, "fetch")
        assert warehouse.read_bytes() == kept
