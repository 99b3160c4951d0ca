"""The pull into S3, by settings alone; what is wrong with them is said in one line, before anybody is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipelines.lake.bucket import use_project_settings
from pipelines.lake.left_out import read_left_out
from pipelines.lake.working_folder import open_pipeline
from pipelines.left_out import find_left_out
from pipelines.network.appview import AppView
from pipelines.network.pacing import Pacer
from tests.bucket_nights import BucketNights
from tests.s3.conftest import BUCKET, SECRET, S3Server, free_port

if TYPE_CHECKING:
    from pipelines.sample.appview.server import SampleServer
    from tests.conftest import Lake


@pytest.fixture
def nights(s3: S3Server, sample_server: SampleServer, lake: Lake) -> BucketNights:
    return BucketNights(sample_server, lake.folder, s3.settings())


def test_a_pull_goes_on_from_another_machine(nights: BucketNights) -> None:
    nights.assert_a_pull_goes_on_from_another_machine()
    assert SECRET not in nights.output


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        pytest.param(
            "CREDENTIALS__AWS_ACCESS_KEY_ID",
            "f" * 32,
            "The bucket refuses the key",
            id="wrong key",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "CREDENTIALS__AWS_SECRET_ACCESS_KEY", "another-secret", "The bucket refuses the key", id="wrong secret"
        ),
        pytest.param("BUCKET_URL", "s3://comunity/raw", "There is no bucket 'comunity'", id="missing bucket"),
        pytest.param(
            "BUCKET_URL",
            "s3://my community/raw",
            "The bucket 'my community' cannot be opened",
            id="impossible bucket",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "CREDENTIALS__ENDPOINT_URL",
            f"http://127.0.0.1:{free_port()}",
            "The bucket's endpoint cannot be reached",
            id="unreachable endpoint",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_bucket_that_cannot_be_used_is_one_line(
    nights: BucketNights, s3: S3Server, setting: str, value: str, said: str
) -> None:
    nights.bucket[f"DESTINATION__FILESYSTEM__{setting}"] = value
    assert nights.run("machine") == 1
    assert nights.output.startswith(said)
    assert nights.output.count("\n") == 1
    assert SECRET not in nights.output
    assert "another-secret" not in nights.output
    assert nights.server.requests == []
    assert list(s3.folder.iterdir()) == [s3.folder / BUCKET]


def test_who_is_left_out_is_kept_beside_the_data_set(
    s3: S3Server, lake: Lake, sample_server: SampleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.settings().items():
        monkeypatch.setenv(name, value)
    use_project_settings()
    assert read_left_out(lake.pipeline_name).names == ()
    did = sample_server.world.actor("nils").did
    monkeypatch.setenv("SOURCES__BLUESKY__LEFT_OUT", "@nils.bsky.test")
    found = find_left_out(open_pipeline(lake.pipeline_name), AppView(sample_server.url, Pacer(10_000)))
    assert found.dids == {did}
    assert read_left_out(lake.pipeline_name).rows() == found.rows()
