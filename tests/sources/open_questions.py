"""A warehouse of nothing but questions, in place of the one that dbt takes ten seconds for."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def doubt(project: Path, uris: Iterable[str]) -> None:
    """Make the relation of open questions: about these records, less what the lake has answers to.

    As with dbt, a post that the service shows is settled by its row of `author_feed` alone: a crash can lose that.
    """
    path = project / "_data" / "bluesky.duckdb"
    path.parent.mkdir(exist_ok=True)
    settled: set[str] = set()
    for table, uris_of in (
        ("record_checks", "select uri from read_parquet($1) where outcome not in ('unknown', 'shown')"),
        ("author_feed", "select item_uri from read_parquet($1)"),
    ):
        files = [str(file) for file in (project / "_data" / "lake" / "bluesky" / table).rglob("*.parquet")]
        if files:
            settled |= {uri for (uri,) in duckdb.execute(uris_of, [files]).fetchall()}
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
            [[uri for uri in uris if uri not in settled]],
        )
