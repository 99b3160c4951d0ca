"""Somebody is forgotten in a bucket, with the warehouse that nights keep there; the next night is another machine's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.bucket_nights import BucketNights
from tests.forgetting.bucket_law import assert_somebody_is_forgotten_for_good, load_events_there
from tests.forgetting.lakes import found_in
from tests.s3.conftest import BUCKET, S3Server

if TYPE_CHECKING:
    from pipelines.sample.appview.server import SampleServer
    from tests.conftest import Lake


@pytest.mark.slow
def test_no_byte_of_theirs_is_left_in_the_bucket(s3: S3Server, sample_server: SampleServer, lake: Lake) -> None:
    nights = BucketNights(sample_server, lake.folder, s3.settings())
    assert nights.run("machine") == 0, nights.output
    otto = sample_server.world.actor("otto")
    handle, name = otto.handle(sample_server.world.on(1).now), otto.profiles[0].display_name
    strings = (otto.did, handle, name)
    kept = s3.folder / BUCKET / "raw" / "warehouse" / "bluesky.duckdb"
    kept.parent.mkdir()
    with duckdb.connect(str(kept)) as warehouse:
        warehouse.execute("create table people as select $1 as did", [otto.did])
    assert {string for string, _ in found_in(s3.folder, strings[:2])} == set(strings[:2])

    assert nights.run("machine", "--forget", f"@{handle}") == 0, nights.output
    assert not kept.exists()
    assert found_in(s3.folder, strings) == []
    assert found_in(lake.folder / "machine", strings) == []

    assert nights.run("another machine") == 2
    assert "actors in [sources.bluesky] names somebody who is forgotten" in nights.output
    assert found_in(s3.folder, strings) == []


@pytest.mark.slow
@pytest.mark.rare  # Each change tries the same on R2.
def test_caches_audits_and_builds_bring_nobody_back(s3: S3Server, sample_server: SampleServer, lake: Lake) -> None:
    nights = BucketNights(sample_server, lake.folder, s3.settings())
    assert_somebody_is_forgotten_for_good(nights, load_events_there)
