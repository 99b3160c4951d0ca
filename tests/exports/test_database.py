"""Marts in a DuckDB database of their own: the rows that other exports have, and nothing of before."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import duckdb
import pytest

from pipelines import export
from pipelines.exports import database as databases
from pipelines.exports.marts import choose
from pipelines.lake.marts_database import forget_exported, open_hosted

if TYPE_CHECKING:
    from pathlib import Path

    from tests.exports.conftest import Exporting


@pytest.fixture(scope="module")
def exported(exporting: Exporting) -> Path:
    path = exporting.folder / "made" / "marts.duckdb"
    assert export.main(["database", "--sample", "--out", str(path)]) == 0
    return path


@pytest.fixture
def before(exported: Path, tmp_path: Path) -> Path:
    """An export of before."""
    path = tmp_path / "marts.duckdb"
    shutil.copy(exported, path)
    return path


def export_some(exporting: Exporting, place: Path | str, *marts: str) -> None:
    """Export a few marts, where more of them would tell nothing else."""
    with duckdb.connect(str(exporting.marts.warehouse), read_only=True) as warehouse:
        warehouse.execute("set timezone = 'UTC'")
        chosen = choose(warehouse, marts, is_all=False)
        with databases.open_database(str(place)) as database:
            deque(databases.fill(database, warehouse, chosen, "some"))


def differing(path: Path, folder: Path, *marts: str, schema: str = "main") -> list[str]:
    """Name the marts of which a database has other rows than a folder of files."""
    with duckdb.connect() as database:
        database.execute(f"attach '{path}' as exported (read_only)")

        def is_differing(mart: str) -> bool:
            one, other = f"from exported.{schema}.{mart}", f"from '{folder / mart}.parquet'"
            rows = f"({one} except all {other}) union all ({other} except all {one})"
            return database.execute(rows).fetchone() is not None

        return list(filter(is_differing, marts))


def test_a_database_has_what_files_have_and_dbts_descriptions(exported: Path, parquet: Path) -> None:
    files = {file.stem for file in parquet.glob("*.parquet")}
    with duckdb.connect(str(exported), read_only=True) as database:
        tables = {name for (name,) in database.execute("select table_name from duckdb_tables()").fetchall()}
        assert tables == {*files, "about"}
        for catalog in ("duckdb_tables()", "duckdb_columns()"):
            undescribed = f"select table_name from {catalog} where comment is null and table_name != 'about'"
            assert database.execute(f"{undescribed} and not internal").fetchall() == []
        ((note,),) = database.execute("select note from about").fetchall()
    assert note == export.PUBLISHED
    assert differing(exported, parquet, *files) == []
    assert [file.name for file in exported.parent.iterdir()] == ["marts.duckdb"]


def test_an_export_that_breaks_off_leaves_the_one_of_before(exporting: Exporting, before: Path, tmp_path: Path) -> None:
    content = before.read_bytes()
    with duckdb.connect(str(exporting.marts.warehouse), read_only=True) as marts:
        first, second = choose(marts, ["rpt_packs", "rpt_members"], is_all=False)
        broken = replace(second, query="select error('broken off') as word")
        with pytest.raises(duckdb.Error, match="broken off"), databases.open_database(str(before)) as database:
            deque(databases.fill(database, marts, [first, broken], "another"))
    assert before.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["marts.duckdb"]


def test_a_file_that_is_no_export_is_left_alone(
    exporting: Exporting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with duckdb.connect(str(tmp_path / "mine.duckdb")) as mine:
        mine.execute("create table mine as select 1")
    (tmp_path / "text").write_text("no database", encoding="utf-8")
    for path in (exporting.marts.warehouse, tmp_path / "mine.duckdb", tmp_path / "text"):
        before = path.read_bytes()
        assert export.main(["database", "--sample", "--out", str(path)]) == 1
        error = capsys.readouterr().err
        assert "is no export" in error
        assert error.count("\n") == 1
        assert path.read_bytes() == before


def test_with_other_names_nobody_is_in_it(exporting: Exporting, tmp_path: Path) -> None:
    path = tmp_path / "marts.duckdb"
    assert export.main(["database", "--sample", "--all", "--pseudonyms", "--out", str(path)]) == 0
    content = path.read_bytes()
    dids = [row["did"] for row in exporting.marts.rows("select did from dim_authors")]
    assert dids
    assert [did for did in dids if str(did).encode() in content] == []


def test_what_a_reader_wrote_into_the_export_of_before_is_not_in_the_next(
    exporting: Exporting, before: Path, parquet: Path
) -> None:
    reader = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute('delete from dim_authors'); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", reader, str(before)], check=True)
    assert before.with_name("marts.duckdb.wal").exists()
    assert differing(before, parquet, "dim_authors") == ["dim_authors"]
    export_some(exporting, before, "dim_authors")
    assert differing(before, parquet, "dim_authors") == []


def test_while_another_program_writes_to_it_nothing_is_written(
    exporting: Exporting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "marts.duckdb"
    writer = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    for held in (path.with_name(".marts.duckdb.partial"), path):
        with subprocess.Popen(
            [sys.executable, "-c", writer, str(held)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            assert export.main(["database", "--sample", "--out", str(path)]) == 1
            assert "is open in another program" in capsys.readouterr().err
            assert held.exists()
            process.communicate(b"")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("bucket", "the bucket takes tables"),
        ("s3://other/marts.duckdb", "is no place for a database"),
        ("~nobodyatall/marts.duckdb", "nobody here has that home folder"),
        ("md:", "is written md:name"),
        ("md:mine?motherduck_token=sesame", "is written md:name"),
        ("/dev/null/x/marts.duckdb", "cannot be made"),
    ],
)
def test_why_not_is_one_line(exporting: Exporting, capsys: pytest.CaptureFixture[str], place: str, said: str) -> None:
    assert export.main(["database", "--sample", "--out", place]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert "sesame" not in error


def test_whoever_is_forgotten_goes_from_the_database_of_the_settings(
    before: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "theirs.duckdb"
    before.with_name(".marts.duckdb.partial").touch()
    with duckdb.connect(str(theirs)) as database:
        database.execute("create table theirs as select 1")
    for place in (before, theirs, tmp_path):
        monkeypatch.setenv("EXPORT__DATABASE", str(place))
        forget_exported()
    assert [file.name for file in tmp_path.iterdir()] == ["theirs.duckdb"]


class HostedMock:
    """What stands for MotherDuck: `md:` leads to files in a folder, of which each is a database."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokens: list[object] = []
        self._connect = duckdb.connect

    def connect(self, place: str = ":memory:", **options: object) -> object:
        if place != "md:":
            return self._connect(place, **options)  # type: ignore[arg-type]
        self.tokens.append((options["config"] or {}).get("motherduck_token"))  # type: ignore[attr-defined]
        mock = self
        connection = self._connect()

        class Connection:
            def execute(self, query: str, *rest: object) -> object:
                made = re.fullmatch(r'create database if not exists "(\w+)"', query)
                if made:
                    query = f"attach if not exists '{mock.folder / made[1]}.duckdb' as {made[1]}"
                return connection.execute(query, *rest)

            def __getattr__(self, name: str) -> object:
                return getattr(connection, name)

        return Connection()


def test_a_mock_of_a_hosted_database_is_filled_and_forgets(
    exporting: Exporting, parquet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hosted = HostedMock(tmp_path)
    monkeypatch.setattr("pipelines.lake.marts_database.duckdb.connect", hosted.connect)
    monkeypatch.setenv("EXPORT__MOTHERDUCK_TOKEN", "a token")
    with open_hosted("md:community") as database:
        database.execute("create table community.theirs as select 1")
    names = ("fct_posts", "rpt_packs")
    for _ in range(2):
        export_some(exporting, "md:community", *names)
    assert set(hosted.tokens) == {"a token"}
    path = tmp_path / "community.duckdb"
    assert differing(path, parquet, *names, schema="marts") == []
    monkeypatch.setenv("EXPORT__DATABASE", "md:community")
    forget_exported()
    with duckdb.connect(str(path), read_only=True) as database:
        assert database.execute("select table_name from duckdb_tables()").fetchall() == [("theirs",)]


def test_a_mock_of_a_hosted_database_out_of_reach_is_one_line_without_the_token(
    exporting: Exporting, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(place: str, **options: object) -> object:
        raise duckdb.IOException(f"no {options['config']}\nmore")

    connect = duckdb.connect
    monkeypatch.setattr(
        "pipelines.lake.marts_database.duckdb.connect",
        lambda place=":memory:", **options: (refuse if place == "md:" else connect)(place, **options),
    )
    monkeypatch.setenv("EXPORT__MOTHERDUCK_TOKEN", "sesame")
    assert export.main(["database", "--sample", "--out", "md:community"]) == 1
    error = capsys.readouterr().err
    assert "The database md:community" in error
    assert error.count("\n") == 1
    assert "sesame" not in error
