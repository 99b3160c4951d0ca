"""Exported tables hold what may be published, all of it, and other tools read it."""

from __future__ import annotations

import csv as csv_files
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import dlt
import duckdb
import polars as pl
import pytest
from frictionless import Package, system
from hypothesis import given
from hypothesis import strategies as st

from pipelines import export
from pipelines.exports.columns import columns_of
from pipelines.exports.datapackage import FILE
from pipelines.exports.marts import ExportError, Mart, choose
from pipelines.exports.tables import write_table
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.lake.forget_warehouse import remove_warehouse
from tests.exports.conftest import PUBLISHABLE_POSTS
from tests.forgetting.lakes import contents

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.world.truth import Actor
    from pipelines.sample.world.world import World
    from tests.exports.conftest import Exporting

FORMULA = tuple("=+-@＝＋－＠\t\r\n")  # noqa: RUF001


def test_nothing_withheld_is_in_any_byte(
    world: World, exporting: Exporting, csv: Path, parquet: Path, withheld: list[Actor]
) -> None:
    day = world.on(exporting.marts.day)
    graph = exporting.run("graph", "graph", "--kinds", "interactions,follows,hashtags,links")
    ids = exporting.run("ids", "ids")
    told = "\n".join(text for folder in (csv, parquet, graph, ids) for _, text in contents(folder)).lower()
    others = {actor.handle(day.now) for actor in world.actors.values() if actor not in withheld}
    names = {actor.did for actor in withheld} | {name for actor in withheld for _, name in actor.handles} - others
    assert len(names) >= 14
    assert [name for name in names - {"handle.invalid"} if name.lower() in told] == []
    deleted = exporting.marts.rows("select post_uri, text from fct_posts where is_deleted or is_in_doubt")
    assert len(deleted) > 5
    assert [row for row in deleted if row["post_uri"].rpartition("/")[2] in told] == []


def test_rows_are_those_that_reports_count(exporting: Exporting, parquet: Path) -> None:
    """By dbt's own models of what is publishable; the exporter goes by what columns mean."""
    for mart, column, publishable in (
        ("fct_posts", "post_uri", PUBLISHABLE_POSTS),
        (
            "fct_reposts",
            "repost_uri",
            "select repost_uri from int_publishable_reposts join dim_authors on did = post_author_did"
            " where dim_authors.is_publishable"
            " and post_uri not in (from int_stale_posts semi join fct_posts using (post_uri))",
        ),
        ("fct_author_days", "did", "select did from fct_author_days join dim_authors using (did) where is_publishable"),
        ("bridge_pack_members", "did", "select distinct did from int_report_members where pack_uri != 'all'"),
        ("dim_authors", "did", "select did from dim_authors where is_publishable"),
    ):
        exported = duckdb.sql(f"select distinct {column} from '{parquet / mart}.parquet'").fetchall()
        expected = exporting.marts.rows(f"select distinct * from ({publishable})")
        assert {value for (value,) in exported} == {next(iter(row.values())) for row in expected}, mart
        assert exported
    reports = [
        report["mart"]
        for report in exporting.marts.rows(
            "select table_name as mart from duckdb_tables() where table_name like 'rpt_%'"
        )
    ]
    counts = " union all ".join(f"select '{mart}' as mart, count(*) as rows from {mart}" for mart in reports)
    for report in exporting.marts.rows(counts):
        assert duckdb.sql(f"from '{parquet / report['mart']}.parquet'").shape[0] == report["rows"]


def test_other_tools_read_the_same_rows(csv: Path, parquet: Path) -> None:
    uris = {uri for (uri,) in duckdb.sql(f"select post_uri from '{parquet / 'fct_posts.parquet'}'").fetchall()}
    assert set(pl.read_csv(csv / "fct_posts.csv", infer_schema_length=None)["post_uri"]) == uris
    assert set(pl.read_parquet(parquet / "fct_posts.parquet")["post_uri"]) == uris
    assert {uri for (uri,) in duckdb.sql(f"select post_uri from '{csv / 'fct_posts.csv'}'").fetchall()} == uris


def test_each_column_is_described_as_it_is(csv: Path, parquet: Path) -> None:
    with system.use_context(trusted=True):
        report = Package.from_descriptor(str(csv / FILE)).validate(limit_errors=3)
    assert report.valid, report.flatten(["name", "type", "message"])
    for folder in (csv, parquet):
        package = json.loads((folder / FILE).read_text(encoding="utf-8"))
        for resource in package["resources"]:
            assert resource["description"]
            assert [field["name"] for field in resource["schema"]["fields"] if not field["description"]] == []
            assert resource["bytes"] == (folder / resource["path"]).stat().st_size
    assert {file.name for file in csv.iterdir()} == {FILE, *(resource["path"] for resource in _resources(csv))}


def _resources(folder: Path) -> list[dict[str, str]]:
    resources: list[dict[str, str]] = json.loads((folder / FILE).read_text(encoding="utf-8"))["resources"]
    return resources


@given(
    words=st.lists(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0")) | st.sampled_from(FORMULA))
)
def test_no_cell_is_run_as_a_formula(words: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    with duckdb.connect() as marts:
        marts.execute("create table rpt_words (text varchar, kind varchar, like_count bigint)")
        for word in words:
            marts.execute("insert into rpt_words values ($1, '-', -1)", [word])
        (mart,) = choose_without_people(marts)
        folder = tmp_path_factory.mktemp("csv")
        write_table(marts, mart, "csv", folder)
        with (folder / "rpt_words.csv").open(encoding="utf-8", newline="") as file:
            _, *rows = csv_files.reader(file)
    assert [row[0].strip("\u200b\ufeff \x0b\xa0").startswith(FORMULA) for row in rows] == [False] * len(words)
    assert [word if row[0] == f"'{word}" else row[0] for row, word in zip(rows, words, strict=True)] == words
    assert {row[2] for row in rows} <= {"-1"}


def choose_without_people(marts: duckdb.DuckDBPyConnection) -> list[Mart]:
    """Choose the one report of a warehouse in which nobody is."""
    columns = tuple(columns_of(marts)["rpt_words"])
    return [Mart("rpt_words", "", columns, "from rpt_words")]


def test_what_nobody_has_said_a_meaning_of_is_not_exported(exporting: Exporting, tmp_path: Path) -> None:
    warehouse = tmp_path / "bluesky.duckdb"
    warehouse.write_bytes(exporting.marts.warehouse.read_bytes())
    with duckdb.connect(str(warehouse)) as marts:
        marts.execute("create table fct_new as select 'somebody' as nickname")
        assert "fct_new" not in {mart.name for mart in choose(marts, [], is_all=False)}
        with pytest.raises(ExportError, match="what its column nickname means"):
            choose(marts, ["fct_new"], is_all=False)
        with pytest.raises(ExportError, match="with --pseudonyms"):
            choose(marts, ["fct_new"], is_all=True, is_renamed=True)
        assert [mart.name for mart in choose(marts, ["fct_new"], is_all=True)] == ["fct_new"]


def test_a_failed_export_leaves_the_file_of_before(exporting: Exporting, tmp_path: Path) -> None:
    with duckdb.connect(str(exporting.marts.warehouse), read_only=True) as marts:
        (mart,) = choose(marts, ["rpt_packs"], is_all=False)
        write_table(marts, mart, "csv", tmp_path)
        before = (tmp_path / "rpt_packs.csv").read_bytes()
        broken = Mart(mart.name, "", mart.columns, f"select * replace (error('!') as pack_name) from ({mart.query})")
        with pytest.raises(duckdb.Error):
            write_table(marts, broken, "csv", tmp_path)
    assert (tmp_path / "rpt_packs.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("tables", "rpt_member", "--out", "x"),
            "There is no mart 'rpt_member' in the warehouse. Did you mean rpt_mem",
        ),
        (("tables", "fct_loads", "--out", "x"), "fct_loads is not exported without --all"),
        (("tables", "dim_starter_packs", "--out", "x"), "rpt_packs has what may be published of it"),
        (("tables", "--out", "s3://other/place"), "--out takes a folder, or the word bucket"),
        (("ids", "--out", "/dev/null/x"), "/dev/null/x cannot be made: Not a directory."),
    ],
)
def test_why_not_is_one_line(
    exporting: Exporting, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    place = [str(exporting.folder / "x") if argument == "x" else argument for argument in arguments]
    assert export.main([*place, "--sample"]) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_into_the_bucket_and_out_of_it(exporting: Exporting, parquet: Path, tmp_path: Path) -> None:
    assert export.main(["tables", "rpt_packs", "fct_posts", "--sample", "--out", "bucket"]) == 0
    marts = exporting.project / "_data" / "sample" / "lake" / "marts"
    assert {str(file.relative_to(marts)) for file in marts.rglob("*") if file.is_file()} == {
        FILE,
        "fct_posts/fct_posts.parquet",
        "rpt_packs/rpt_packs.parquet",
    }
    uris = "select post_uri from '{}' order by 1"
    in_bucket = duckdb.sql(uris.format(marts / "fct_posts" / "*.parquet")).fetchall()
    assert in_bucket == duckdb.sql(uris.format(parquet / "fct_posts.parquet")).fetchall()
    # Whoever is forgotten may be in it.
    settings = replace(duckdb_settings("bluesky_sample"), warehouse_path=tmp_path / "bluesky.duckdb")
    remove_warehouse(dlt.pipeline("bluesky_sample"), settings)
    assert not marts.exists()


def test_exports_of_two_kinds_do_not_lie_side_by_side(exporting: Exporting, capsys: pytest.CaptureFixture[str]) -> None:
    out = exporting.run("kinds", "tables", "rpt_members", "dim_authors", "--all", "--format", "csv")
    exporting.run("kinds", "tables", "rpt_members", "--all")
    assert {resource["path"] for resource in _resources(out)} == {
        "rpt_members.csv",
        "dim_authors.csv",
        "rpt_members.parquet",
    }
    assert export.main(["tables", "--sample", "--out", str(out)]) == 1
    assert "has an export of another kind" in capsys.readouterr().err
    package = json.loads((out / FILE).read_text(encoding="utf-8")) | {"created": "2020-01-01T00:00:00+00:00"}
    package["resources"].append({"name": "x", "path": "../salt.csv"})
    (out / FILE).write_text(json.dumps(package), encoding="utf-8")
    (out.parent / "salt.csv").touch()
    exporting.run("kinds", "tables", "rpt_members", "--all")
    assert {file.name for file in out.iterdir()} == {FILE, "rpt_members.parquet"}, "what is of another day goes"
    assert (out.parent / "salt.csv").exists()
