"""The models on Sail: what it builds, as a cluster of four workers, is what DuckDB builds night by night."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import string
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from pipelines.lake.bucket import PROJECT_ROOT
from pipelines.lake.spark_tables import tables_folder_of
from tests.dbt.hostile_rows import WITHOUT_TIMES, known_rows, new_rows
from tests.dbt.test_random_lakes import Chance
from tests.dbt.warehouses import WHAT_IS_KEPT, Warehouse, new_project
from tests.s3.conftest import free_port, wait_for
from tests.s3.test_places import OF_ANOTHER_BUCKET
from tests.seeds import seeds
from tests.servers.bucket_servers import r2

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "it's `ours`, ]} #1 $x"
"""A folder's name of letters that engines, or shells, read otherwise elsewhere."""
NIGHTS = range(1, 11)
MARTS = ("fct_", "dim_", "bridge_", "rpt_")
BUILD = PROJECT_ROOT / "tests" / "servers" / "build_on_sail.py"
ENGINE = os.environ.get("ENGINE_UNDER_TEST", "sail")
"""Or a server of Spark Connect that is up, to hold it to the same: see CONTRIBUTING.md."""
CLUSTER = {
    "SAIL_MODE": "local-cluster",
    "SAIL_CLUSTER__WORKER_INITIAL_COUNT": "4",
    "SAIL_CLUSTER__WORKER_MAX_COUNT": "4",
    "SAIL_CLUSTER__WORKER_TASK_SLOTS": "64",  # A table's files are read at once.
    "SAIL_RUNTIME__STACK_SIZE": str(16 << 20),
    "RUST_LOG": "error",
}

FOR_RUST_ALONE = {
    "AWS_ENDPOINT": "http://127.0.0.1:1",
    "AWS_REGION": "another",
    "AWS_TOKEN": "another",
    "AWS_S3_EXPRESS": "true",
    "AWS_SKIP_SIGNATURE": "true",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
}
"""What Sail reads besides of the environment, of another bucket than the settings say."""

ASK_FOR_NOTHING = """
from pipelines.lake.bucket import LakeError
from pipelines.lake.spark_session import open_session

try:
    with open_session("sail") as spark:
        spark.sql("select * from nothing").collect()
except LakeError as error:
    print(error)
"""


ASK_FOR_PLACES = """
import sys
from pathlib import Path

from pipelines.lake.spark_session import open_session, tell_session

with open_session("sail") as spark:
    tell_session(spark, "bluesky_sample", Path(sys.argv[1]))
    query = "select item_uri, source_file, file_row_number from lake_author_feed order by 1"
    print(*((*row,) for row in spark.sql(query).collect()), sep="\\n")
"""

ASK_WHAT_IS_LEFT = """
import os
import shutil
import sys
from pathlib import Path

from pipelines.lake.spark_session import SCHEMA, open_session, own_schema


def build(name):
    folder = f"{sys.argv[1]}/{name}"
    shutil.rmtree(folder, ignore_errors=True)
    spark.sql(f"create schema if not exists {os.environ[SCHEMA]}")
    spark.sql(f"create table {os.environ[SCHEMA]}.fct_posts using parquet location '{folder}' as select 1 as a")
    spark.sql(f"create view {os.environ[SCHEMA]}.fct_media as select 1 as a")


def say():
    schemas = [schema.name for schema in spark.catalog.listDatabases()]
    tables = [(name, table.name) for name in schemas for table in spark.catalog.listTables(name)]
    print(*sorted(map(".".join, tables)))


with open_session("sail") as spark:
    os.environ[SCHEMA] = "bluesky"
    build("of a user")
    with own_schema(spark, Path("one")):
        build("one")
        say()
        with own_schema(spark, Path("other")):
            build("other")
        say()
    broken_off = own_schema(spark, Path("one"))
    broken_off.__enter__()
    build("one")
    with own_schema(spark, Path("one")):
        build("one")
        say()
    say()
"""

ASK_IN_FOLDERS = """
import json
import os
import sys
from pathlib import Path

from pipelines.lake.bucket import LakeError, use_project_settings
from pipelines.lake.spark_session import open_session, tell_session

with open_session("sail") as spark:
    for lake, tables in json.loads(Path(sys.argv[1]).read_text()):
        os.environ["DESTINATION__SAMPLE_LAKE__BUCKET_URL"] = lake
        use_project_settings()
        try:
            tell_session(spark, "bluesky_sample", Path(tables))
            rows = spark.table("lake_author_feed").select("item_uri", "source_file")
            rows.write.parquet(f"{tables}/rows")
            print(json.dumps([[*row] for row in rows.collect()]))
        except LakeError as error:
            print(json.dumps(str(error)))
"""

LARGE_FILE = """
select
    (row * 7919 % 40000)::varchar as item_uri,
    array_to_string(list_transform(range(8), lambda n: md5((8 * row + n)::varchar)), '') as raw
from range(40000) as rows(row)
"""


class OnSail:
    """A warehouse of a lake that has one of DuckDB's too, built in a Python of its own."""

    def __init__(self, python: Path, warehouse: Warehouse) -> None:
        self.python = python
        self.warehouse = warehouse

    @property
    def tables(self) -> Path:
        """Where Sail writes its tables while it builds."""
        return tables_folder_of(self.warehouse.path)

    def build(self, *arguments: Path) -> None:
        """Build all."""
        with self.begin(*arguments) as job:
            output, _ = job.communicate()
            assert job.returncode == 0, output

    def begin(self, *arguments: Path, engine: str = ENGINE) -> subprocess.Popen[str]:
        """Begin to build all."""
        return self._run(self.python, "-W", "ignore", BUILD, *arguments, engine=engine)

    def job(self) -> subprocess.Popen[str]:
        """Begin to run the whole job."""
        return self._run(self.python, "-W", "ignore", "pipelines/bluesky.py", "--sample")

    def dbt(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin to run dbt, as somebody without the job would."""
        dbt = self.python.with_name("dbt")
        places = [f"--{kind}-dir={PROJECT_ROOT / 'dbt'}" for kind in ("project", "profiles")]
        return self._run(dbt, "--no-use-colors", *arguments, "--target=sail_sample", *places)

    def ask(self, script: str, *arguments: Path) -> str:
        """Run a script, and give what it says."""
        file = self.warehouse.folder / "ask.py"
        file.write_text(script, encoding="utf-8")
        with self._run(self.python, "-W", "ignore", file, *arguments) as job:
            output, _ = job.communicate()
            assert job.returncode == 0, output
            return output

    def _run(self, *command: str | Path, engine: str = ENGINE) -> subprocess.Popen[str]:
        folder = self.warehouse.folder
        env = {name: value for name, value in os.environ.items() if "__" not in name.strip("_")} | {
            "DLT_PROJECT_DIR": str(folder),
            "DLT_LOCAL_DIR": str(folder),
            "DLT_DATA_DIR": str(folder / "dlt"),
            "DBT_TARGET_PATH": str(folder / "target_of_sail"),
            "DBT_LOG_PATH": str(folder / "logs"),
            "PIPELINES__BLUESKY_SAMPLE__WAREHOUSE": f"{self.warehouse.name}/bluesky.duckdb",
            "WAREHOUSE__ENGINE": engine,
            **CLUSTER,
        }
        return subprocess.Popen(
            command,
            cwd=PROJECT_ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @contextmanager
    def cluster(self) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
        """Start a cluster in processes of its own, and give its address."""
        port = free_port()
        sail = self.python.with_name("sail")
        arguments = ["spark", "server", "--ip", "127.0.0.1", "--port", str(port)]
        # The workers' Python has this project.
        with subprocess.Popen([sail, *arguments], cwd=PROJECT_ROOT, env=os.environ | CLUSTER) as server:
            try:
                wait_for(port)
                yield server, f"sc://127.0.0.1:{port}"
            finally:
                server.kill()

    def marts(self) -> dict[str, set[tuple[str, int]]]:
        return marts_of(self.warehouse)


def marts_of(warehouse: Warehouse) -> dict[str, set[tuple[str, int]]]:
    """Give each mart's rows, and how often each is there. Doubles count to six places, or seven digits."""
    columns: dict[str, list[str]] = {}
    for table, column, data_type in warehouse.rows("""
        select table_name, column_name, data_type
        from duckdb_columns()
        where database_name = 'bluesky' and column_name != 'batch_number'
        order by table_name, column_name
    """):
        if table.startswith(MARTS):
            # Adding nothing makes -0.0, which a sum of another order may come to, 0.0. Of large numbers, fewer places
            # are certain.
            cell = f'round("{column}", 6)::float + 0' if data_type == "DOUBLE" else f'"{column}"'
            columns.setdefault(table, []).append(cell)
    return {
        table: set(warehouse.rows(f"select ({', '.join(cells)})::varchar, count(*) from {table} group by all"))
        for table, cells in columns.items()
    }


def assert_equal(sail: Warehouse, duckdb: Warehouse) -> None:
    """Hold what Sail built to what DuckDB built."""
    ours, theirs = marts_of(sail), marts_of(duckdb)
    assert ours.keys() == theirs.keys()
    assert len(theirs["dim_authors"]) > 1
    different = {name: sorted(ours[name] ^ theirs[name])[:4] for name in theirs if ours[name] != theirs[name]}
    assert not different


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the extra. In the tests' own, DuckDB would import pandas in each process."""
    folder = tmp_path_factory.mktemp("sail") / "venv"
    new = folder / "bin" / "python"
    install: list[str | Path] = ["uv", "pip", "install", "--quiet", "--python", new]
    commands: tuple[list[str | Path], ...] = (
        ["uv", "venv", "--quiet", "--python", sys.executable, folder],
        [*install, "--requirements", "requirements-sail.lock"],
        [*install, "--no-deps", "--editable", "."],
    )
    for command in commands:
        subprocess.run(command, cwd=PROJECT_ROOT, check=True)
    return new


@pytest.fixture
def two(tmp_path: Path, parsed_project: Path, python: Path) -> tuple[OnSail, Warehouse]:
    """One lake, with a warehouse that Sail builds and one that DuckDB builds."""
    folder = new_project(tmp_path / NAME, parsed_project)
    return OnSail(python, Warehouse(folder, "sail")), Warehouse(folder, "duckdb")


def assert_names_are_looked_for_in_what_reports_show_and_not_in_all_of_history(sail: OnSail, asked: Path) -> None:
    texts = {text for line in asked.read_text(encoding="utf-8").splitlines() for text in json.loads(line)}
    posts = {text for (text,) in sail.warehouse.rows("select text from fct_posts where text != ''")}
    shown = {text for (text,) in sail.warehouse.rows("select text from rpt_latest_posts where text != ''")}
    assert shown <= texts
    assert len(posts & texts) < len(posts) / 3


def test_sail_builds_what_duckdb_builds_also_after_it_or_its_cluster_was_killed(
    two: tuple[OnSail, Warehouse], tmp_path: Path
) -> None:
    sail, duckdb = two
    for night in NIGHTS[:-1]:
        duckdb.pull(night)
        duckdb.dbt("run", *([] if night == NIGHTS[-2] else [WHAT_IS_KEPT]))
    sail.build(tmp_path / "asked.jsonl")
    assert_equal(sail.warehouse, duckdb)
    assert_names_are_looked_for_in_what_reports_show_and_not_in_all_of_history(sail, tmp_path / "asked.jsonl")
    before = sail.marts()
    duckdb.pull(NIGHTS[-1])
    duckdb.dbt("run")
    with sail.cluster() as (cluster, address), sail.begin(engine=address) as job:
        while not (sail.tables / "int_posts").exists():
            assert job.poll() is None
            time.sleep(0.1)
        cluster.send_signal(signal.SIGKILL)
        output, _ = job.communicate(timeout=120)
        assert job.returncode == 1, output
        assert "Traceback" not in output
    assert sail.marts() == before
    with sail.begin() as job:
        while not (sail.tables / "int_posts").exists():
            assert job.poll() is None
            time.sleep(0.1)
        job.send_signal(signal.SIGKILL)
    assert sail.marts() == before
    with sail.cluster() as (_, address), sail.begin(engine=address) as job:
        output, _ = job.communicate()
        assert job.returncode == 0, output
    assert_equal(sail.warehouse, duckdb)
    assert not sail.tables.exists()


def test_a_row_has_the_place_that_it_has_in_its_file(two: tuple[OnSail, Warehouse], tmp_path: Path) -> None:
    sail, warehouse = two
    file = warehouse.dataset / "author_feed" / "night" / "large.parquet"
    file.parent.mkdir(parents=True)
    duckdb.sql(LARGE_FILE).write_parquet(str(file), row_group_size=8192)
    assert file.stat().st_size > 10 << 20  # What is smaller, Sail reads from its beginning to its end.
    places = duckdb.sql(
        """
        select item_uri, 'author_feed/night/large.parquet', file_row_number
        from read_parquet($1, file_row_number = true)
        order by 1
        """,
        params=[str(file)],
    ).fetchall()
    assert sail.ask(ASK_FOR_PLACES, tmp_path / "tables").splitlines() == [str(place) for place in places]


def test_a_run_leaves_what_others_have_on_its_server_and_nothing_of_its_own(
    two: tuple[OnSail, Warehouse], tmp_path: Path
) -> None:
    sail, _ = two
    at_once, after_the_other, after_a_kill, at_the_end = (
        line.split() for line in sail.ask(ASK_WHAT_IS_LEFT, tmp_path).splitlines()
    )
    of_users = ["bluesky.fct_media", "bluesky.fct_posts"]
    assert at_the_end == of_users
    assert len(at_once) == len(of_users) + 2
    assert at_once == after_the_other == after_a_kill


def folder_names() -> list[str]:
    """Names of folders and files, made of all that some reader of paths takes for something else."""
    dice = random.Random(12)
    parts = [*string.punctuation.replace("/", ""), *" é日\t\x7f", "%20", "::", "{a,b}", "[ab]", "${HOME}"]
    some = ["".join(dice.choices(parts, k=dice.randint(2, 5))) for _ in range(15)]
    return [*(f"x{part}y" for part in (*parts, *some)), "_x", ".x", "x."]


def test_whatever_a_folder_or_a_file_is_called_its_own_rows_are_read_or_it_is_refused(
    two: tuple[OnSail, Warehouse], tmp_path: Path
) -> None:
    sail, _ = two
    asked: list[tuple[str, str]] = []
    expected = []
    for number, name in enumerate(folder_names()):
        # dlt's and DuckDB's patterns are refused for all engines, and are tried as a file's name.
        lake = tmp_path / str(number) / ("lake" if re.search(r"[*?\[\\]", name) else name)
        files = [lake / "bluesky/author_feed/load" / f"{name}.parquet"]
        files += [lake.with_name(other) / "bluesky/author_feed/load/1.parquet" for other in ("xay", "xby", "xy")]
        for file in files:
            file.parent.mkdir(parents=True)
            duckdb.sql("select $1 as item_uri", params=[name if file == files[0] else "of another"]).write_parquet(
                str(file)
            )
        tables = tmp_path / str(number) / f"{name}.tables"
        tables.mkdir()
        asked.append((str(lake), str(tables)))
        expected.append([[name, f"author_feed/load/{name}.parquet"]])
    (tmp_path / "asked.json").write_text(json.dumps(asked), encoding="utf-8")
    answers = [json.loads(line) for line in sail.ask(ASK_IN_FOLDERS, tmp_path / "asked.json").splitlines()]
    read = 0
    for (_, written_to), rows, answer in zip(asked, expected, answers, strict=True):
        if isinstance(answer, str):
            assert "\n" not in answer
            assert not [*Path(written_to).iterdir()]
        else:
            assert answer == rows
            (file,) = Path(written_to, "rows").glob("*.parquet")
            read += 1
    assert read > len(answers) / 2


def test_a_place_that_the_engine_misreads_is_refused_before_anything_is_asked_or_written(
    two: tuple[OnSail, Warehouse],
) -> None:
    sail = OnSail(two[0].python, Warehouse(two[0].warehouse.folder, "{a,b}"))
    with sail.job() as job:
        output, _ = job.communicate()
    assert job.returncode == 1, output
    [line] = output.splitlines()
    assert "{a,b}" in line
    assert 'engine = "duckdb"' in line
    assert not sail.warehouse.dataset.exists()
    assert not sail.warehouse.path.exists()


def test_dbt_builds_and_tests_by_itself_and_leaves_nothing(two: tuple[OnSail, Warehouse]) -> None:
    sail, _ = two
    Chance(0).load(1).write(sail.warehouse.dataset)
    with sail.dbt("build", "--select", "staging", "+int_periods") as job:
        output, _ = job.communicate()
    assert job.returncode == 0, output
    assert "ERROR=0" in output
    assert "Traceback" not in output
    assert not sail.tables.exists()


def test_what_the_engine_refuses_is_an_error_of_one_line(python: Path) -> None:
    ask: list[str | Path] = [python, "-W", "ignore", "-"]
    said = subprocess.check_output(ask, input=ASK_FOR_NOTHING, cwd=PROJECT_ROOT, text=True)
    assert "cannot go on" in said
    assert len(said.splitlines()) == 1


def test_sail_builds_what_duckdb_builds_of_a_lake_in_a_bucket_with_its_keys(
    two: tuple[OnSail, Warehouse], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sail, duckdb = two
    for name, value in (OF_ANOTHER_BUCKET | FOR_RUST_ALONE).items():
        monkeypatch.setenv(name, value)
    with r2(tmp_path / "r2") as server:
        server.write_settings(duckdb.folder)
        settings = duckdb.folder / ".dlt" / "secrets.toml"
        here = settings.read_text(encoding="utf-8").replace("destination.filesystem", "destination.sample_lake")
        settings.write_text(here.replace(tmp_path.name, NAME), encoding="utf-8")
        duckdb.pull(NIGHTS[0])
        duckdb.dbt("run")
        sail.build()
        assert_equal(sail.warehouse, duckdb)
        assert not duckdb.dataset.exists()
        # Sail decodes what is in percent signs there, and finds nothing.
        settings.write_text(here.replace(tmp_path.name, "a%20b"), encoding="utf-8")
        with sail.job() as job:
            output, _ = job.communicate()
        assert job.returncode == 1, output
        [line] = output.splitlines()
        assert "a%20b" in line


@pytest.mark.parametrize("seed", seeds(6, by_default=1, on_each_change=1))
def test_sail_builds_what_duckdb_builds_of_a_random_lake_and_duckdb_builds_on(
    seed: int, two: tuple[OnSail, Warehouse]
) -> None:
    sail, duckdb = two
    chance = Chance(seed, nights=[*NIGHTS, NIGHTS.stop])
    for night in NIGHTS:
        chance.load(night).write(duckdb.dataset)
        for other in {NIGHTS[0]: known_rows, NIGHTS[-1]: new_rows}.get(night, list)():
            other.write(duckdb.dataset, author_feed=WITHOUT_TIMES)
        is_compared = night in {4, NIGHTS[-1]}
        duckdb.dbt("run", *([] if is_compared else [WHAT_IS_KEPT]))
        if is_compared:
            sail.build()
            assert_equal(sail.warehouse, duckdb)
    chance.load(NIGHTS.stop).write(duckdb.dataset)
    for warehouse in (duckdb, sail.warehouse):
        warehouse.dbt("run")
    assert_equal(sail.warehouse, duckdb)
