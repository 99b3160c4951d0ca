"""A warehouse from before somebody was forgotten, e.g. out of a cache, holds them: it is built anew."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipelines.lake.duckdb_settings import has_relation
from pipelines.lake.forgotten import FORGOTTEN_FILE, parse_forgotten
from pipelines.lake.people_files import read_in_dbt

if TYPE_CHECKING:
    from pipelines.lake.duckdb_settings import DuckDBSettings

_MARK: Final = "lake_generation"


def begin_anew_after_forgetting(settings: DuckDBSettings) -> None:
    """Open the warehouse that dbt is about to build; remove it first if it is from before the last forgetting.

    Raises:
        LakeError: The warehouse cannot be opened, or the lake not be read.
    """
    (kept,) = read_in_dbt(settings, FORGOTTEN_FILE)
    generation = parse_forgotten(kept).generation
    with settings.open_warehouse() as warehouse:
        is_marked = has_relation(warehouse, _MARK)
        marked = warehouse.execute(f"select generation from {_MARK}").fetchone() if is_marked else None
    if generation == (marked and marked[0]):
        return
    settings.warehouse_path.unlink()
    Path(f"{settings.warehouse_path}.wal").unlink(missing_ok=True)
    with settings.open_warehouse() as warehouse:
        warehouse.execute(f"create table {_MARK} as select $1::varchar as generation", [generation])
