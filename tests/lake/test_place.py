"""Whatever a folder is called: what was written there is read there, or nothing is written and one line says why."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pytest
from dlt.common.configuration.providers.environ import EnvironProvider
from dlt.common.configuration.specs import AwsCredentials
from dlt.common.configuration.specs.base_configuration import is_secret_hint
from dlt.common.typing import TSecretStrValue
from dlt.destinations.impl.filesystem.configuration import FilesystemDestinationClientConfiguration

from pipelines import live
from pipelines.bluesky import main
from pipelines.lake.bucket import (
    PROJECT_ROOT,
    LakeError,
    explain_lake_error,
    filesystem_client,
    lake_location,
    location_of,
    use_project_settings,
)
from pipelines.lake.duckdb_settings import as_pattern, duckdb_settings
from pipelines.lake.place import PlaceError, SettingsReadOnce, place_from
from pipelines.lake.readback import LakeReader
from pipelines.lake.working_folder import open_pipeline, recover
from tests.conftest import isolated_lake
from tests.dbt_command import run_dbt
from tests.place_laws import assert_compaction_stays_there, load_small_files

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World
    from tests.conftest import Lake

BUCKET_URL = "DESTINATION__FILESYSTEM__BUCKET_URL"
ALPHABET = [
    "a",
    "B",
    "7",
    " ",
    "é",
    "ß",
    "日",
    "#",
    "%",
    "%20",
    "?",
    "[",
    "]",
    "*",
    "'",
    '"',
    "~",
    "\\",
    "=",
    "&",
    "+",
    "::",
]


def generated_names(count: int) -> list[str]:
    """Names of folders, made of what some reader of paths takes for something else."""
    dice = random.Random(12)
    return ["x" + "".join(dice.choices(ALPHABET, k=dice.randint(1, 6))) + "y" for _ in range(count)]


def assert_read_or_refused(folder: Path, bucket_url: str) -> bool:
    """Load and compact a few rows; tell whether the name is one that works."""
    with isolated_lake(folder) as lake, pytest.MonkeyPatch.context() as environment:
        environment.setenv(BUCKET_URL, bucket_url)
        reason = ""
        try:
            pipeline = recover(open_pipeline("bluesky"))
        except (LakeError, PlaceError) as error:
            reason = str(explain_lake_error(error) or error)
        if reason:
            assert "\n" not in reason
            assert not list(folder.rglob("*.parquet"))
            with pytest.raises(LakeError):
                duckdb_settings("bluesky")
            return False
        info = pipeline.run([{"a": 1}, {"a": 2}], table_name="t", loader_file_format="parquet")
        LakeReader("bluesky").expect(pipeline, info)
        settings = duckdb_settings("bluesky")
        with duckdb.connect() as connection:
            listed = connection.execute(
                "select file from glob($1)", [f"{settings.lake_pattern}/t/**/*.parquet"]
            ).fetchall()
        assert {path for (path,) in listed} == {str(path) for path in lake.folder.parent.rglob("t/*/*.parquet")}
        assert len(listed) == 1
        load_small_files(pipeline, 2)
        assert_compaction_stays_there(pipeline)
        # dlt finds its own state again, and with it the cursors.
        environment.setenv("DLT_DATA_DIR", str(folder / "another machine"))
        use_project_settings()
        assert recover(open_pipeline("bluesky")).default_schema_name == "bluesky"
        return True


@pytest.mark.parametrize(
    ("bucket_url", "works"),
    [
        ("lake of ours/100% é#b/it's ]/a%20b/\n", True),
        pytest.param("team=a", True, marks=pytest.mark.slow),
        pytest.param("#b", True, marks=pytest.mark.slow),
        ("a[b]c", False),
        ("a*b", False),
    ],
)
def test_a_lake_is_read_where_it_was_written_or_refused(tmp_path: Path, bucket_url: str, works: bool) -> None:
    assert assert_read_or_refused(tmp_path, bucket_url) == works


@pytest.mark.slow
def test_any_name_is_read_where_it_was_written_or_refused(tmp_path: Path) -> None:
    """As a path and as a URL, in turn."""
    worked = 0
    for number, name in enumerate(generated_names(25)):
        folder = tmp_path / str(number)
        worked += assert_read_or_refused(folder, name if number % 2 else f"file://{folder}/abs/{name}")
    assert 5 <= worked <= 20


def test_home_and_white_space_and_slashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with isolated_lake(tmp_path) as lake:
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        for setting, place in {
            "~/lake/": tmp_path / "home" / "lake" / "bluesky",
            "\t lake \r\n": lake.folder / "lake" / "bluesky",
            f"file://{tmp_path}/a%20b%23c": tmp_path / "a b#c" / "bluesky",
            "../x//y/./z": tmp_path / "x" / "y" / "z" / "bluesky",
        }.items():
            monkeypatch.setenv(BUCKET_URL, setting)
            assert duckdb_settings("bluesky").lake_path == str(place)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("gs://bucket/raw", "s3://, az:// or abfss://"),
        ("a:b", "./a:b"),
        ("'s3://bucket/raw'", "write s3://bucket/raw without"),
        ("“lake”", "write lake without"),
        ("a\nb", "one line"),
        ("file://lake", "file:///"),
        ("file:///a#b", "without file://"),
        ("file:///a%FFb", "without file://"),
        ("~nobody-of-that-name/lake", "./~nobody-of-that-name/lake"),
        ("s3://bucket//raw", "write s3://bucket/raw."),
        ("s3://bucket/../raw", "write s3://bucket/raw."),
        ("s3:/bucket", "no bucket"),
        ("s3://bucket/a?b", "without * ?"),
        ("s3://bucket/a::b", "rename"),
        ("az://bucket/a#b", "rename"),
        ("", "empty"),
    ],
)
def test_what_is_no_place_is_told_in_one_line_with_what_to_write(setting: str, said: str) -> None:
    with pytest.raises(PlaceError) as error:
        place_from(setting)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (f'{BUCKET_URL}="lake"', "write lake without"),
        (f"{BUCKET_URL}=gs://bucket", "its protocol is gs"),
        ("SOURCES__BLUESKY__STARTER_PACKS=https://go.bsky.app/abc", "starter_packs in [sources.bluesky] takes a list"),
        ("SOURCES__BLUESKY__ACTORS=[nils.example.org", "actors in [sources.bluesky] takes a list"),
    ],
)
def test_a_setting_that_is_no_place_or_no_list_ends_the_job_in_one_line(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], setting: str, said: str
) -> None:
    variable, _, value = setting.partition("=")
    monkeypatch.setenv(variable, value)
    assert main([]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert said in line
    assert not list(lake.folder.rglob("*.parquet"))


def test_a_provider_mock_hears_whether_a_setting_is_secret() -> None:
    heard: list[tuple[str, Any]] = []

    class ProviderMock(EnvironProvider):
        def get_value(self, key: str, hint: Any, pipeline_name: str | None, *sections: str) -> tuple[None, str]:
            heard.append((key, hint))
            return None, key

    hints = FilesystemDestinationClientConfiguration().get_resolvable_fields() | {"key": TSecretStrValue}
    for key, hint in hints.items():
        SettingsReadOnce(ProviderMock()).get_value(key, hint, None)
    assert {key: is_secret_hint(hint) for key, hint in heard} == {k: is_secret_hint(h) for k, h in hints.items()}
    assert {is_secret_hint(hint) for _, hint in heard} == {True, False}


@pytest.mark.usefixtures("lake")
@pytest.mark.parametrize(
    "settings",
    [
        {
            "DESTINATION__FILESYSTEM__BUCKET_URL": "s3://own",
            "DESTINATION__FILESYSTEM__CREDENTIALS__AWS_ACCESS_KEY_ID": "own-key",
            "DESTINATION__FILESYSTEM__CREDENTIALS__AWS_SECRET_ACCESS_KEY": "own-secret",
            "DESTINATION__FILESYSTEM__CREDENTIALS__ENDPOINT_URL": "http://127.0.0.1:1",
        },
        {"DESTINATION__BUCKET_URL": "own"},
        {"DATASET_NAME": "own"},
        {"PIPELINES__BLUESKY__DATASET_NAME": "own"},
        {"PIPELINES__BLUESKY__DATASET_NAME_LAYOUT": "Own_%s"},
        {"DATASET_NAME": "OwnName", "SCHEMA__NAMING": "direct"},
        {"DESTINATION_NAME": "sample_lake"},
    ],
    ids=["bucket", "folder", "dataset", "its_dataset", "layout", "naming", "destination"],
)
def test_dbt_hears_what_is_set_for_one_pipeline_alone_as_dlt_does(
    settings: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """https://dlthub.com/docs/general-usage/credentials/setup: a setting may begin with the pipeline's name."""
    use_project_settings()
    shared = lake_location(dlt.pipeline("bluesky"))
    for name, value in settings.items():
        monkeypatch.setenv(f"BLUESKY__{name}", value)
    use_project_settings()
    written = filesystem_client(dlt.pipeline("bluesky"))
    assert location_of(written) != shared, "the law is dlt's"

    read = duckdb_settings("bluesky")
    assert f"{read.lake_path}/" == location_of(written)
    if isinstance(written.config.credentials, AwsCredentials):
        assert read.environment["AWS_ACCESS_KEY_ID"] == written.config.credentials.aws_access_key_id == "own-key"
        assert read.environment["AWS_ENDPOINT"] == "http://127.0.0.1:1"


@pytest.mark.parametrize("command", [["jetstream", "--sample"], ["compact", "--sample"]])
def test_a_live_job_that_has_another_lake_than_dbt_ends_before_it_writes(
    command: list[str],
    lake: Lake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BLUESKY_SAMPLE__DESTINATION__SAMPLE_LAKE__BUCKET_URL", str(tmp_path / "own"))
    assert live.main(command) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert f"dbt reads that of bluesky_sample, {tmp_path}/own/bluesky/" in line
    assert not [*tmp_path.rglob("*.parquet"), *lake.folder.rglob("*.parquet")]


@pytest.mark.parametrize("name", ["config.toml", "secrets.toml"])
def test_a_byte_order_mark_is_named(lake: Lake, capsys: pytest.CaptureFixture[str], name: str) -> None:
    path = lake.folder / ".dlt" / name
    path.write_bytes(b"\xef\xbb\xbf" + (path.read_bytes() if path.exists() else b""))
    try:
        assert main([]) == 1
        [line] = capsys.readouterr().err.splitlines()
        assert f"{name} begins with a byte order mark" in line
    finally:
        path.unlink()


def test_a_reader_that_looks_elsewhere_ends_the_job(
    lake: Lake,
    sample_server: SampleServer,
    world: World,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("pipelines.lake.duckdb_settings.dataset_place", lambda *_: "/elsewhere/bluesky")
    monkeypatch.setenv("SOURCES__BLUESKY__SERVICE", sample_server.url)
    assert main(["--actor", world.actor("nils").did, "--no-report"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("The lake that dbt reads is not the one that was written")
    assert "finds 0 of these files, in /elsewhere/bluesky/" in line
    assert f"{lake.folder}/_data/lake/bluesky/" in line


def test_a_reader_that_finds_fewer_rows_says_so(lake: Lake) -> None:
    pipeline = open_pipeline("bluesky")
    info = pipeline.run([{"a": 1}, {"a": 2}], table_name="t", loader_file_format="parquet")
    LakeReader("bluesky").expect(pipeline, info)
    (file,) = lake.dataset.rglob("t/*/*.parquet")
    duckdb.connect().execute(f"copy (select 1 as a) to '{file}' (format parquet)")
    with pytest.raises(LakeError, match=r"dlt wrote 2 rows in 1 files .* reads 1 rows in these files"):
        LakeReader("bluesky").expect(pipeline, info)


@pytest.mark.parametrize("name", ["a[b]c", "[[", "a*?b", "[*", "*[", "]", "{a,b}", "it's", "[!a]"])
def test_a_path_as_a_pattern_is_that_path_alone(tmp_path: Path, name: str) -> None:
    for folder in (name, "abc", "a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x").touch()
    with duckdb.connect() as connection:
        found = connection.execute("select file from glob($1)", [as_pattern(f"{tmp_path}/{name}/") + "*"]).fetchall()
    assert found == [(str(tmp_path / name / "x"),)]


def as_a_user(folder: Path, settings: dict[str, str], *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the project with a folder for all that is written."""
    places = {"DLT_PROJECT_DIR": folder, "DLT_LOCAL_DIR": folder, "DLT_DATA_DIR": folder / "dlt"}
    dbt = {"DBT_TARGET_PATH": folder / "target", "DBT_LOG_PATH": folder / "logs", "PYTHONPATH": PROJECT_ROOT}
    environment: dict[str, Any] = os.environ | {name: str(path) for name, path in (places | dbt).items()} | settings
    return subprocess.run(
        [sys.executable, *words], cwd=PROJECT_ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_pull_dbt_page_and_live_job_find_the_lake(tmp_path: Path) -> None:
    name = "lake of ours/100% é#1/it's a%20b]/team=x"
    with isolated_lake(tmp_path) as lake:
        settings = {"DESTINATION__SAMPLE_LAKE__BUCKET_URL": name}
        for words in (
            ["pipelines/bluesky.py", "--sample", "--day", "1"],
            ["pipelines/live.py", "jetstream", "--sample", "--until-caught-up"],
            ["pipelines/bluesky.py", "--sample", "--day", "2"],
        ):
            done = as_a_user(lake.folder, settings, *words)
            assert done.returncode == 0, done.stdout + done.stderr
        assert "people, as of" in done.stdout
        written = {str(path) for path in (lake.folder / name / "bluesky").rglob("*.parquet")}
        with duckdb.connect(str(lake.folder / "_data" / "sample" / "bluesky.duckdb"), read_only=True) as warehouse:
            read = {
                f"{lake.folder / name}/bluesky/{file}"
                for (file,) in warehouse.execute(
                    "select source_file from base_lake__files where source_file like '%.parquet'"
                ).fetchall()
            }
            assert read == written
            assert warehouse.execute("select count(*) from fct_posts").fetchone() != (0,)


@pytest.mark.slow
def test_a_file_that_is_named_like_a_pattern_or_with_a_quote_is_read_alone(
    lake: Lake, sample_server: SampleServer, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.pull(sample_server, actors=[world.actor("nils").did])
    (file,) = lake.dataset.rglob("feed_pulls/*/*.parquet")
    for name in ("it's", "a[b]*", "[["):
        file.with_name(f"{name} {file.name}").write_bytes(file.read_bytes())
    monkeypatch.setenv("DBT_TARGET_PATH", str(tmp_path / "target"))
    monkeypatch.setenv("DBT_LOG_PATH", str(tmp_path / "logs"))
    outcome = run_dbt("run", "--select", "base_lake__files", "base_bluesky__feed_pulls")
    assert outcome.success, outcome.exception
    with duckdb.connect(str(duckdb_settings("bluesky").warehouse_path), read_only=True) as warehouse:
        rows = warehouse.execute(
            "select count(*), count(distinct source_file) from base_bluesky__feed_pulls"
        ).fetchone()
    assert rows == (4, 4)
