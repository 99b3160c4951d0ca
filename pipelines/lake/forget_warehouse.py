"""A warehouse from before somebody was forgotten, e.g. out of a cache, holds them: it is built anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipelines.lake.bucket import LakeError
from pipelines.lake.duckdb_settings import has_relation
from pipelines.lake.forgotten import FORGOTTEN_FILE, parse_forgotten
from pipelines.lake.people_files import read_in_dbt

if TYPE_CHECKING:
    import duckdb

    from pipelines.lake.duckdb_settings import DuckDBSettings

_MARK: Final = "lake_generation"


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
