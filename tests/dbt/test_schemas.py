"""Lakes of other times: without a load yet, with fewer columns, with more. dbt builds all the same, and says so."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
import yaml

from pipelines.lake.bucket import PROJECT_ROOT
from pipelines.lake.tables import CHECK_TABLES, LIVE_TABLES, RAW_TABLES
from tests.dbt.raw_lakes import SCHEMAS, Load, night
from tests.dbt.warehouses import Warehouse, new_project

if TYPE_CHECKING:
    from pathlib import Path

    from dbt.artifacts.schemas.run import RunResult

NO_REPORTS = ("--exclude-resource-type=unit_test", "--exclude", "path:models/marts/reports", "test_type:generic")


def small_load(number: int) -> Load:
    load = Load(f"17724060{number:02}.5")
    load.pack(night(number), ["author"])
    load.profile("author", night(number))
    load.pull("author", night(number), None)
    load.post("author", f"post{number}", night(number), night(number, 12), like_count=number, bookmark_count=3)
    return load


def write_schema(dataset: Path, version: int, **more: pa.Schema) -> None:
    """A version of dlt's schema, as dlt keeps it."""
    tables = {
        name: {"columns": {column: {"data_type": "text"} for column in [*schema.names, "_dlt_load_id"]}}
        for name, schema in (SCHEMAS | more).items()
        if name in {table.name for table in RAW_TABLES}
    }
    path = dataset / "_dlt_version" / f"bluesky__17724060{version:02}.5__{version:04x}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    row = {"version": version, "engine_version": 11, "version_hash": f"{version}=", "schema_name": "bluesky"}
    path.write_text(json.dumps(row | {"inserted_at": f"{night(version)}", "schema": json.dumps({"tables": tables})}))


def warnings(results: list[RunResult]) -> set[str]:
    return {result.node.name for result in results if result.status == "warn"}


@pytest.mark.slow
def test_a_lake_through_the_ages(tmp_path: Path, parsed_project: Path) -> None:
    warehouse = Warehouse(new_project(tmp_path / "project", parsed_project))

    assert "assert_lake_has_loads" in warnings(warehouse.dbt("build", "--exclude-resource-type=unit_test"))
    assert warehouse.rows("select count(*) from fct_posts") == [(0,)]

    feed = SCHEMAS["author_feed"]
    older = pa.schema([column for column in feed if column.name not in {"bookmark_count", "facets", "issues"}])
    small_load(1).write(warehouse.dataset, author_feed=older)
    write_schema(warehouse.dataset, 1, author_feed=older)
    assert warnings(warehouse.dbt("build", *NO_REPORTS)) == {"assert_lake_has_the_columns_that_are_known"}
    assert warehouse.rows("select like_count, bookmark_count from fct_posts") == [(1, None)]

    newer = pa.schema([pa.field("mood", pa.string()), *[column.with_nullable(True) for column in feed]])
    small_load(2).write(warehouse.dataset, author_feed=newer)
    write_schema(warehouse.dataset, 2, author_feed=newer)
    # `dlt pipeline drop` and a night after it make a version that was there before, stored again.
    of_first = next((warehouse.dataset / "_dlt_version").glob("*__0001.jsonl"))
    of_first.with_name("bluesky__1772406002.9__0001.jsonl").write_text(
        of_first.read_text().replace(f"{night(1)}", f"{night(2, 1)}")
    )
    assert warnings(warehouse.dbt("build", *NO_REPORTS)) == {"assert_lake_has_the_columns_that_are_known"}
    assert warehouse.rows("select like_count, bookmark_count from fct_posts order by 1") == [(1, None), (2, 3)]
    changes = warehouse.rows("select column_name from fct_schema_changes where changed_at > '2026-03-02' order by 1")
    assert changes == [("bookmark_count",), ("facets",), ("issues",), ("mood",)]


def test_the_sources_are_the_raw_layer() -> None:
    """dbt reads the columns that pipelines/lake/tables.py declares, and takes them for what they are."""
    text = (PROJECT_ROOT / "dbt" / "models" / "staging" / "_bluesky__sources.yml").read_text()
    source = next(source for source in yaml.safe_load(text)["sources"] if source["name"] == "bluesky")
    declared = {
        table["name"]: [(column["name"], column["data_type"]) for column in table["columns"]]
        for table in source["tables"]
    }
    expected = {
        table.name: [
            *((column.name, duckdb_type(column.type)) for column in table.schema),
            ("_dlt_load_id", "varchar"),
        ]
        for table in (*RAW_TABLES, *CHECK_TABLES)
        if table.name in declared
    }
    of_the_pull = {"starter_packs", "starter_pack_members", "profiles", "author_feed", "feed_pulls"}
    of_the_checks = {"record_checks", "feed_audits", "member_records", "reactions", "audience_pulls"}
    assert {name: declared[name] for name in declared if name in of_the_pull | of_the_checks} == expected
    assert set(declared) - {table.name for table in LIVE_TABLES} == of_the_pull | of_the_checks


def duckdb_type(data_type: pa.DataType) -> str:
    if pa.types.is_list(data_type):
        return f"{duckdb_type(data_type.value_type)}[]"
    if pa.types.is_struct(data_type):
        return f"struct({', '.join(f'{field.name} {duckdb_type(field.type)}' for field in data_type.fields)})"
    names = {"string": "varchar", "int64": "bigint", "bool": "boolean", "timestamp[us, tz=UTC]": "timestamptz"}
    return names[str(data_type)]
