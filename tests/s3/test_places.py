"""Prefixes, endpoints and keys: DuckDB looks where dlt wrote, whatever the settings are and wherever they stand."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING
from unittest.mock import patch

import duckdb
import pytest

from pipelines.lake.bucket import LakeError, explain_lake_error, filesystem_client, use_project_settings
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.lake.place import PlaceError
from pipelines.lake.readback import LakeReader
from pipelines.lake.spark_session import environment_with
from pipelines.lake.working_folder import open_pipeline, recover
from tests.conftest import isolated_lake
from tests.place_laws import (
    assert_compaction_stays_there,
    assert_the_nightly_fetches_the_warehouse_that_it_kept,
    load_small_files,
)
from tests.s3.conftest import BUCKET, KEY, SECRET, S3Server
from tests.seeds import seeds

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Lake

LAKE = "DESTINATION__FILESYSTEM__"
OF_ANOTHER_BUCKET = {
    "AWS_ACCESS_KEY_ID": "another",
    "AWS_SECRET_ACCESS_KEY": "another",
    "AWS_SESSION_TOKEN": "another",
    "AWS_DEFAULT_REGION": "another",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
}
"""What a machine may have for AWS' own tools."""
ALPHABET = ["a", "7", " ", "é", "日", "#", "%", "%20", "?", "[", "]", "*", "'", '"', "~", "\\", "=", "&", "+", "/"]


def assert_read_or_refused(server: S3Server, folder: Path, settings: dict[str, str]) -> bool:
    """Load and compact a few rows, keep and fetch a warehouse; tell whether the prefix is one that works."""
    with isolated_lake(folder), patch.dict(os.environ, settings):
        reason = ""
        try:
            pipeline = recover(open_pipeline("bluesky"))
        except (LakeError, PlaceError) as error:
            reason = str(explain_lake_error(error) or error)
        if reason:
            assert "\n" not in reason
            assert not list(server.folder.rglob("*.parquet"))
            with pytest.raises(LakeError):
                duckdb_settings("bluesky")
            return False
        info = pipeline.run([{"a": 1}, {"a": 2}], table_name="t", loader_file_format="parquet")
        LakeReader("bluesky").expect(pipeline, info)
        lake = duckdb_settings("bluesky")
        with duckdb.connect() as connection:
            lake.configure(connection)
            listed = connection.execute("select file from glob($1)", [f"{lake.lake_pattern}/t/**/*.parquet"]).fetchall()
        assert {path.removeprefix("s3://") for (path,) in listed} == {
            str(path.relative_to(server.folder)) for path in server.folder.rglob("t/*/*.parquet")
        }
        assert len(listed) == 1
        load_small_files(pipeline, 2)
        assert_compaction_stays_there(pipeline)
        assert_the_nightly_fetches_the_warehouse_that_it_kept()
        os.environ["DLT_DATA_DIR"] = str(folder / "another machine")
        use_project_settings()
        assert recover(open_pipeline("bluesky")).default_schema_name == "bluesky"
        return True


@pytest.mark.parametrize(
    ("prefix", "works"),
    [
        pytest.param("raw é/100%#1/it's ]/a%20b/\n", True, marks=pytest.mark.slow),
        ("a[b]c", False),
        ("a//b", False),
    ],
)
def test_a_prefix_is_read_where_it_was_written_or_refused(
    s3: S3Server, tmp_path: Path, prefix: str, works: bool
) -> None:
    settings = s3.settings() | {f"{LAKE}BUCKET_URL": f"s3://{BUCKET}/{prefix}"}
    assert assert_read_or_refused(s3, tmp_path, settings) == works


@pytest.mark.parametrize("seed", seeds(25, by_default=0, on_each_change=8))
def test_any_prefix_is_read_where_it_was_written_or_refused(s3: S3Server, tmp_path: Path, seed: int) -> None:
    dice = random.Random(seed)
    prefix = "x" + "".join(dice.choices(ALPHABET, k=dice.randint(1, 6))) + "y"
    settings = s3.settings() | {f"{LAKE}BUCKET_URL": f"s3://{BUCKET}/{prefix}"}
    works = assert_read_or_refused(s3, tmp_path, settings)
    assert works or set(prefix) & set("?[*\\") or "//" in prefix


def aws_files(folder: Path, profile: str, more: str = "") -> dict[str, str]:
    """Write a profile where AWS' tools have theirs."""
    config = folder / "aws-config"
    config.write_text(f"[profile mine]\nregion = eu-test-1\n{profile}\n{more}")
    return {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_PROFILE": "mine"}


@pytest.mark.slow
@pytest.mark.parametrize("where", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "profile", "services of the profile"])
def test_an_endpoint_counts_for_writer_and_reader_wherever_it_stands(s3: S3Server, tmp_path: Path, where: str) -> None:
    settings = {name: value for name, value in s3.settings().items() if "ENDPOINT" not in name and "STYLE" not in name}
    if where == "profile":
        settings |= aws_files(tmp_path, f"endpoint_url = {s3.endpoint}")
    elif where == "services of the profile":
        more = f"[services local]\ns3 =\n  endpoint_url = {s3.endpoint}\n"
        settings |= aws_files(tmp_path, "services = local", more)
    else:
        settings |= {where: f"{s3.endpoint}/\n"}
    assert assert_read_or_refused(s3, tmp_path, settings)


def test_the_settings_win_over_what_the_environment_says_of_aws(s3: S3Server, tmp_path: Path) -> None:
    assert assert_read_or_refused(s3, tmp_path, OF_ANOTHER_BUCKET | s3.settings())


def test_the_environment_s_session_token_goes_with_the_environment_s_key_alone(
    s3: S3Server, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-another-key")
    for name, value in s3.settings().items():
        monkeypatch.setenv(name, value)

    def tokens() -> tuple[bool, bool]:
        pipeline = open_pipeline("bluesky")
        written_with = filesystem_client(pipeline).config.credentials.to_session_credentials()["aws_session_token"]  # type: ignore[union-attr]
        read_with = any("of-another-key" in statement for statement in duckdb_settings("bluesky").statements)
        return bool(written_with), read_with

    assert tokens() == (False, False)
    secrets = lake.folder / ".dlt" / "secrets.toml"
    secrets.write_text(
        f'[destination.filesystem.credentials]\naws_access_key_id = "{KEY}"\naws_secret_access_key = "{SECRET}"\n'
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(f"{LAKE}CREDENTIALS__{name}")
    use_project_settings()
    assert tokens() == (False, False)
    # The engine Sail has the lake's keys in its environment, and whoever asks for the settings beside it, too.
    with environment_with(duckdb_settings("bluesky").environment):
        assert os.environ.get("AWS_SESSION_TOKEN") is None
        assert tokens() == (False, False)
    assert os.environ["AWS_SESSION_TOKEN"] == "of-another-key"


@pytest.mark.parametrize(
    ("endpoint", "said"),
    [
        ("{endpoint}/" + BUCKET, "write {endpoint}, and keep the bucket in bucket_url alone"),
        ("'{endpoint}'", "write {endpoint} without them"),
        ("account.example.org", "write https://account.example.org"),
    ],
)
def test_an_endpoint_that_is_none_is_refused_in_one_line(
    s3: S3Server, lake: Lake, monkeypatch: pytest.MonkeyPatch, endpoint: str, said: str
) -> None:
    settings = s3.settings() | {f"{LAKE}CREDENTIALS__ENDPOINT_URL": endpoint.format(endpoint=s3.endpoint)}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises((LakeError, PlaceError)) as error:
        open_pipeline("bluesky")
    assert said.format(endpoint=s3.endpoint) in str(error.value)
    assert "\n" not in str(error.value)
    assert not list(lake.folder.rglob("*.parquet"))
