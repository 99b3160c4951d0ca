"""A warehouse of nothing but questions, in place of the one that dbt takes ten seconds for."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def doubt(project: Path, uris: Iterable[str]) -> None:
    """Make the relation of open questions: about these records, less what the lake has answers to."""
    path = project / "_data" / "bluesky.duckdb"
    path.parent.mkdir(exist_ok=True)
    files = [str(file) for file in (project / "_data" / "lake" / "bluesky" / "record_checks").rglob("*.parquet")]
    with closing(duckdb.connect(str(path))) as warehouse:
        warehouse.execute(
            """
            create or replace table int_open_questions as
            select
                uri,
                split_part(uri, '/', 3) as did,
                split_part(uri, '/', 4) as collection,
                'absent_from_feed' as asked_because
            from (select unnest($1::text[]) as uri)
            """,
            [list(uris)],
        )
        if files:
            settled = "select uri from read_parquet($1) where outcome != 'unknown'"
            warehouse.execute(f"delete from int_open_questions where uri in ({settled})", [files])
