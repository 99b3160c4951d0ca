"""How the dbt project is built: what reads what, and what says what a column is."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.dbt.warehouses import Warehouse

Node = dict[str, Any]


@pytest.fixture(scope="module")
def models(parsed_project: Path) -> dict[str, Node]:
    """The models of the project as dbt sees them, by their id in its graph."""
    manifest = json.loads(parsed_project.with_name("manifest.json").read_text())
    return {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}


def folder(node: Node) -> str:
    return "/".join(node["fqn"][1:-1])


@pytest.mark.slow
def test_a_model_describes_each_of_its_columns_and_no_other(ten_days: Warehouse, models: dict[str, Node]) -> None:
    """Those of a base model are its source's: it describes what it adds. A copy that a hook keeps has its model's."""
    described = {
        (node["name"], column["name"])
        for node in models.values()
        for column in node["columns"].values()
        if column["description"]
    }
    there = set(ten_days.rows("select table_name, column_name from duckdb_columns() where database_name = 'bluesky'"))
    base = {(name, column) for name, column in there if name.startswith("base_bluesky__")}
    kept = {("int_author_days__states", column) for name, column in described if name == "int_counted_states"}
    assert {f"{name}.{column}" for name, column in there - base - kept - described} == set(), "have no description"
    assert {f"{name}.{column}" for name, column in described - there} == set(), "are described, and not there"


@pytest.mark.slow
def test_a_mart_carries_its_descriptions(ten_days: Warehouse, models: dict[str, Node]) -> None:
    marts = [node for node in models.values() if folder(node).startswith("marts")]
    assert marts
    expected = {
        (node["name"], column["name"], column["description"]) for node in marts for column in node["columns"].values()
    }
    comments = ten_days.rows("""
        select table_name, column_name, comment
        from duckdb_columns()
        where database_name = 'bluesky' and comment is not null
    """)
    assert set(comments) == expected


@pytest.mark.slow
def test_a_copy_of_the_warehouse_reads_its_own_tables(ten_days: Warehouse, tmp_path: Path) -> None:
    """It has another name, and stands beside the one that it was copied from, which has other rows by then."""
    for name in ("bluesky.duckdb", "copy.duckdb"):
        shutil.copy(ten_days.path, tmp_path / name)
    with duckdb.connect(str(tmp_path / "bluesky.duckdb")) as emptied:
        emptied.execute("delete from int_posts")
        emptied.execute(f"attach '{tmp_path / 'copy.duckdb'}' as kept (read_only)")
        counts = {
            name: emptied.execute(f"select count(*) from kept.{name}").fetchall()
            for (name,) in ten_days.rows("""
                select table_name
                from information_schema.tables
                where table_name similar to '(dim|fct|bridge|rpt)_.*'
            """)
        }
    assert counts["fct_posts"] > [(0,)]
    assert counts == {name: ten_days.rows(f"select count(*) from {name}") for name in counts}


@pytest.mark.slow
def test_who_asks_for_posts_of_a_time_reads_no_others_and_no_texts(ten_days: Warehouse) -> None:
    """Else each of the reports reads the texts of all of history, every night."""
    ((halfway,),) = ten_days.rows("select cast(median(posted_at) as varchar) from fct_posts")
    query = f"select post_uri, posted_at from fct_posts where posted_at > timestamptz '{halfway}'"
    ((_, plan),) = ten_days.rows(f"explain (format json) {query}")
    (scan,) = [scan for scan in scans(json.loads(plan)) if scan["Table"].endswith(".int_posts")]
    assert set(scan["Projections"]) == {"post_uri", "posted_at"}
    assert any(condition.startswith("posted_at>") for condition in scan["Filters"])


def scans(operators: list[Node]) -> list[Node]:
    """What DuckDB's plan says of each table that it reads, below these operators."""
    here = [operator["extra_info"] for operator in operators if "Table" in operator["extra_info"]]
    return here + [scan for operator in operators for scan in scans(operator["children"])]


def test_a_description_is_one_line_without_jinja(models: dict[str, Node]) -> None:
    described = {
        (node["name"], column["name"]): column["description"]
        for node in models.values()
        for column in node["columns"].values()
    }
    assert described
    assert not [key for key, text in described.items() if "{{" in text or "\n" in text]


def test_what_is_made_from_staging_does_not_read_core_and_what_is_made_from_core_does(
    models: dict[str, Node],
) -> None:
    read = {
        key: {folder(models[parent]) for parent in node["depends_on"]["nodes"] if parent in models}
        for key, node in models.items()
    }
    before = {models[key]["name"]: folders for key, folders in read.items() if "from_staging" in folder(models[key])}
    after = {models[key]["name"]: folders for key, folders in read.items() if "from_core" in folder(models[key])}
    from_core = {"marts/core", "intermediate/from_core"}
    assert before
    assert after
    assert {name for name, folders in before.items() if folders & from_core} == set()
    assert {name for name, folders in after.items() if not folders & from_core} == set()
