"""From what Spark or Sail built to the warehouse: page, digest, exports and checks read DuckDB as ever."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import duckdb

from pipelines.lake.bucket import LakeError
from pipelines.lake.duckdb_settings import as_pattern, explain_warehouse_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pyspark.sql import SparkSession

    from pipelines.lake.duckdb_settings import DuckDBSettings


_LIST_OF_FILES: Final = "base_lake__files"
"""Not copied: where it is made anew, with numbers above all, DuckDB builds anew what was built of other batches."""


def tables_folder_of(warehouse: Path) -> Path:
    """Name the folder where the engine writes its tables."""
    return warehouse.with_name(f"{warehouse.name}.tables")


@contextmanager
def tables_folder(settings: DuckDBSettings) -> Iterator[Path]:
    """Give the engine an empty folder for its tables, which is gone at the end: the warehouse has them then."""
    folder = tables_folder_of(settings.warehouse_path)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish_tables(spark: SparkSession, models: Iterable[Any], folder: Path, settings: DuckDBSettings) -> None:
    """Copy what was built into the warehouse, all of it or nothing.

    Args:
        spark: The session that built it.
        models: dbt's nodes. The types of the columns that they declare are those of the copy.
        folder: Where the engine wrote its tables.
        settings: Where the warehouse is.

    Raises:
        LakeError: The warehouse cannot be written.
    """
    with settings.open_warehouse() as warehouse:
        try:
            warehouse.execute("set timezone = 'UTC'")
            warehouse.execute("begin")
            for model in models:
                _copy(spark, model, folder, warehouse)
            warehouse.execute("commit")
        except duckdb.Error as error:
            raise LakeError(explain_warehouse_error(settings.warehouse_path, error)) from error


def _copy(spark: SparkSession, model: Any, folder: Path, warehouse: duckdb.DuckDBPyConnection) -> None:
    kind = warehouse.execute(
        "select table_type from information_schema.tables where table_name = $1", [model.alias]
    ).fetchone()
    if kind is not None:
        warehouse.execute(f'drop {"view" if kind == ("VIEW",) else "table"} "{model.alias}"')
    if model.name == _LIST_OF_FILES:
        return
    built = f"{model.schema}.{model.alias}"
    if model.config.materialized == "view":
        spark.table(built).write.parquet(str(folder / model.alias))
        files = [str(file) for file in (folder / model.alias).glob("*.parquet")]
    else:  # The engine says which files count: a task that was lost may have left some. Delta encodes no URLs.
        named = (file.rpartition("/")[2] for file in spark.table(built).inputFiles())
        files = [str(folder / model.alias / name) for name in named]
    if files:
        names = ", ".join("'" + as_pattern(file).replace("'", "''") + "'" for file in files)
        source = f"read_parquet([{names}])"
    else:  # Of no rows, Sail writes no file.
        warehouse.register("no_rows", spark.table(built).limit(0).toArrow())
        source = "no_rows"
    declared = {name: column.data_type for name, column in model.columns.items()}
    columns = [name for (name, *_) in warehouse.execute(f"describe select * from {source}").fetchall()]
    cells = ", ".join(
        f'cast("{name}" as {declared[name]}) as "{name}"' if declared.get(name) else f'"{name}"' for name in columns
    )
    warehouse.execute(f'create table "{model.alias}" as select {cells} from {source}')
    if "marts" in model.fqn:  # As dbt does on DuckDB: exports take the descriptions from here.
        _describe(warehouse, f'table "{model.alias}"', model.description)
        for name in columns:
            said = model.columns[name].description if name in model.columns else ""
            _describe(warehouse, f'column "{model.alias}"."{name}"', said)


def _describe(warehouse: duckdb.DuckDBPyConnection, what: str, said: str) -> None:
    text = said.replace("'", "''")
    warehouse.execute(f"comment on {what} is '{text}'")
