"""A warehouse from before something was forgotten, e.g. out of a cache, holds it: it is built anew."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipelines.lake.bucket import LakeError, filesystem_client
from pipelines.lake.duckdb_settings import has_relation
from pipelines.lake.forgotten import FORGOTTEN_FILE, parse_forgotten
from pipelines.lake.people_files import read_in_dbt
from pipelines.lake.spark_tables import tables_folder_of

if TYPE_CHECKING:
    import dlt
    import duckdb

    from pipelines.lake.duckdb_settings import DuckDBSettings

MARTS: Final = "marts"
"""The bucket's folder, beside the data set, to which marts are exported."""

_MARK: Final = "lake_generation"


def remove_warehouse(pipeline: dlt.Pipeline, settings: DuckDBSettings) -> None:
    """Remove the warehouse, here and where nights keep it, and what was exported to the bucket: the lake has it all."""
    warehouse = settings.warehouse_path
    for file in (warehouse, Path(f"{warehouse}.wal")):
        file.unlink(missing_ok=True)
    for folder in (Path(f"{warehouse}.tmp"), tables_folder_of(warehouse)):
        shutil.rmtree(folder, ignore_errors=True)
    client = filesystem_client(pipeline)
    kept = f"{client.bucket_path}/warehouse/{warehouse.name}"
    if not client.config.is_local_filesystem and client.fs_client.exists(kept):
        client.fs_client.rm_file(kept)
    exported = f"{client.bucket_path}/{MARTS}"
    if client.fs_client.exists(exported):
        client.fs_client.rm(exported, recursive=True)


def begin_anew_after_forgetting(settings: DuckDBSettings) -> None:
    """Open the warehouse that dbt is about to build; remove it first if it is from before the last forgetting.

    Raises:
        LakeError: The warehouse cannot be opened, or the lake not be read.
    """
    generation = _generation_of_lake(settings)
    with settings.open_warehouse() as warehouse:
        if _generation_of(warehouse) == generation:
            return
    settings.warehouse_path.unlink()
    Path(f"{settings.warehouse_path}.wal").unlink(missing_ok=True)
    with settings.open_warehouse() as warehouse:
        warehouse.execute(f"create table {_MARK} as select $1::varchar as generation", [generation])


def expect_built_after_forgetting(settings: DuckDBSettings) -> None:
    """See that nothing is published from a warehouse that may hold who is forgotten.

    Raises:
        LakeError: It is from before the last forgetting, or cannot be opened, or the lake not be read.
    """
    if not settings.warehouse_path.exists():
        return
    generation = _generation_of_lake(settings)
    with settings.read_warehouse() as warehouse:
        if _generation_of(warehouse) != generation:
            place = settings.warehouse_path
            raise LakeError(f"{place} is from before somebody was forgotten: run cd dbt && dbt build.")


def _generation_of_lake(settings: DuckDBSettings) -> str | None:
    (kept,) = read_in_dbt(settings, FORGOTTEN_FILE)
    return parse_forgotten(kept).generation


def _generation_of(warehouse: duckdb.DuckDBPyConnection) -> str | None:
    if not has_relation(warehouse, _MARK):
        return None
    row = warehouse.execute(f"select generation from {_MARK}").fetchone()
    return row[0] if row else None
