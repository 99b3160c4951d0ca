"""The lake in Azure Blob Storage, by the settings that example.secrets.toml shows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.servers.bucket_laws import KEEP_WAREHOUSE, BucketLaws, assert_is_one_line, run_command
from tests.servers.bucket_servers import azure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import ProcessPoolExecutor

    from tests.bucket_nights import BucketNights
    from tests.servers.bucket_servers import BucketServer


@pytest.fixture(scope="module")
def bucket_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BucketServer]:
    with azure(tmp_path_factory.mktemp("azure")) as server:
        yield server


class TestAzure(BucketLaws):
    @pytest.mark.rare  # Each change tries this and the next on R2.
    def test_nights_on_new_machines_and_dbt_alone(self, nights: BucketNights, bucket_server: BucketServer) -> None:
        super().test_nights_on_new_machines_and_dbt_alone(nights, bucket_server)

    @pytest.mark.rare
    def test_somebody_is_forgotten_for_good(self, nights: BucketNights, new_python: ProcessPoolExecutor) -> None:
        super().test_somebody_is_forgotten_for_good(nights, new_python)

    @pytest.mark.parametrize(
        ("setting", "value", "said"),
        [
            ("CREDENTIALS__AZURE_STORAGE_ACCOUNT_KEY", "d3Jvbmc=", "The storage account refuses the key"),
            ("CREDENTIALS__AZURE_STORAGE_ACCOUNT_KEY", "d3Jvb", "The storage account's key is not complete"),
            ("CREDENTIALS__AZURE_ACCOUNT_HOST", "127.0.0.1:9/mylake", "The storage account cannot be reached"),
        ],
        ids=["wrong key", "half a key", "unreachable account"],
    )
    def test_a_bucket_that_cannot_be_used_is_one_line(
        self, nights: BucketNights, bucket_server: BucketServer, setting: str, value: str, said: str
    ) -> None:
        assert_is_one_line(nights, bucket_server, setting, value, said)

    def test_a_missing_container_is_one_line_and_is_not_made(
        self, nights: BucketNights, bucket_server: BucketServer
    ) -> None:
        said = "There is no bucket 'my-contaner'"
        assert_is_one_line(nights, bucket_server, "BUCKET_URL", "az://my-contaner/raw", said)
        nightly_said = run_command(nights, sys.executable, KEEP_WAREHOUSE, "fetch", exit_code=1)
        assert nightly_said == f"::error::{nights.output}"
