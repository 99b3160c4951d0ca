"""The lake in Cloudflare R2, by the settings that example.secrets.toml shows."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import TYPE_CHECKING

import dlt
import duckdb
import pytest

from pipelines.lake.bucket import filesystem_client
from pipelines.lake.duckdb_settings import duckdb_settings
from tests.s3.faulted_bucket import LAKE, faulted_bucket, faults
from tests.servers.bucket_laws import MIB, BucketLaws, assert_is_one_line
from tests.servers.bucket_servers import BUCKET, r2

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.sample.world.world import World
    from tests.bucket_nights import BucketNights
    from tests.s3.faulted_bucket import FaultedBucket, Job
    from tests.servers.bucket_servers import BucketServer


@pytest.fixture(scope="module")
def bucket_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketServer]:
    with r2(tmp_path_factory.mktemp("r2")) as server:
        yield server


class TestR2(BucketLaws):
    @pytest.mark.parametrize(
        ("setting", "value", "said"),
        [
            ("CREDENTIALS__AWS_ACCESS_KEY_ID", "f" * 32, "The bucket refuses the key"),
            ("CREDENTIALS__AWS_SECRET_ACCESS_KEY", "f" * 64, "The bucket refuses the key"),
            ("BUCKET_URL", "s3://my-buket/raw", "There is no bucket 'my-buket'"),
            ("CREDENTIALS__ENDPOINT_URL", "http://127.0.0.1:9", "The bucket's endpoint cannot be reached"),
        ],
        ids=["wrong key", "wrong secret", "missing bucket", "unreachable endpoint"],
    )
    def test_a_bucket_that_cannot_be_used_is_one_line(
        self, nights: BucketNights, bucket_server: BucketServer, setting: str, value: str, said: str
    ) -> None:
        assert_is_one_line(nights, bucket_server, setting, value, said)

    def test_a_stream_is_sent_in_parts_of_one_size(self, nights: BucketNights) -> None:
        client = filesystem_client(dlt.pipeline("bluesky"))
        path = f"{client.bucket_path}/stream"
        sizes = [6 * MIB, 7 * MIB, 8 * MIB]
        with client.fs_client.open(path, "wb", block_size=5 * MIB) as file:
            for size in sizes:
                file.write(bytes(size))
        assert client.fs_client.size(path) == sum(sizes)

    def test_who_reads_a_file_that_is_put_anew_reads_it_again_and_never_a_mixture(self, nights: BucketNights) -> None:
        def put(version: str) -> None:
            rows = f"select '{version}' as version, uuid() as id from range(300_000)"
            nights.query(f"copy ({rows}) to '$lake/x/x.parquet' (format parquet, row_group_size 4096)")

        put("old")
        with duckdb.connect() as connection:
            settings = duckdb_settings("bluesky")
            settings.configure(connection)
            files = f"read_parquet('{settings.lake_pattern}/x/*.parquet')"
            reader = connection.execute(f"select version, id from {files}")
            seen = [version for version, _ in reader.fetchmany(1)]
            put("new")
            # The local R2's refusal says what no text is: bytes of the file.
            with suppress(duckdb.Error, UnicodeDecodeError):
                while some := reader.fetchmany(10_000):
                    seen += [version for version, _ in some]
            assert set(seen) == {"old"}
            assert connection.execute(f"select distinct version from {files}").fetchall() == [("new",)]


@pytest.fixture(scope="module")
def faulted(
    bucket_server: BucketServer, world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FaultedBucket]:
    names = ("aws_access_key_id", "aws_secret_access_key", "endpoint_url")
    settings = {f"{LAKE}CREDENTIALS__{name.upper()}": bucket_server.credentials[name] for name in names}
    settings |= {f"{LAKE}CREDENTIALS__REGION_NAME": "auto", f"{LAKE}CREDENTIALS__S3_URL_STYLE": "path"}
    with faulted_bucket(world, tmp_path_factory.mktemp("faults"), BUCKET, settings) as found:
        yield found


@pytest.mark.parametrize(
    ("job", "count"),
    [
        ("compaction", 2),
        pytest.param("night", 12, marks=pytest.mark.rare),
        pytest.param("batch", 12, marks=pytest.mark.rare),
    ],
)
def test_a_fault_costs_a_line_and_a_run(faulted: FaultedBucket, job: Job, count: int) -> None:
    for fault in random.Random(job).sample(faults(faulted.count_requests(job)), count):
        faulted.assert_a_fault_costs_nothing(job, fault)
