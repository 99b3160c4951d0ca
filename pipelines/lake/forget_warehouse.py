"""A warehouse from before somebody was forgotten, e.g. out of a cache, holds them: it is built anew."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb

from pipelines.lake.duckdb_settings import as_pattern, has_relation
from pipelines.lake.forgotten import FORGOTTEN_FILE

if TYPE_CHECKING:
    from pipelines.lake.duckdb_settings import DuckDBSettings

_MARK: Final = "lake_generation"


def begin_anew_after_forgetting(settings: DuckDBSettings) -> None:
    """Open the warehouse that dbt is about to build; remove it first if it is from before the last forgetting.

    Raises:
        LakeError: The warehouse cannot be opened, or the lake not be read.
    """
    generation = _generation(settings)
    with settings.open_warehouse() as warehouse:
        is_marked = has_relation(warehouse, _MARK)
        marked = warehouse.execute(f"select generation from {_MARK}").fetchone() if is_marked else None
    if generation == (marked and marked[0]):
        return
    settings.warehouse_path.unlink()
    Path(f"{settings.warehouse_path}.wal").unlink(missing_ok=True)
    with settings.open_warehouse() as warehouse:
        warehouse.execute(f"create table {_MARK} as select $1::varchar as generation", [generation])


def _generation(settings: DuckDBSettings) -> str | None:
    """Ask the lake for the generation of who is forgotten in it; None while nobody is."""
    bucket = settings.lake_path.rpartition("/")[0]
    with closing(duckdb.connect()) as connection:
        settings.configure(connection)
        pattern = as_pattern(f"{bucket}/{FORGOTTEN_FILE}")
        if connection.execute("select file from glob($1)", [pattern]).fetchone() is None:
            return None
        row = connection.execute("select content from read_text($1)", [pattern]).fetchone()
    generation: str | None = json.loads(row[0])["generation"] if row else None
    return generation
