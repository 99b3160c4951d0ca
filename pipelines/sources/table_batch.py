"""Tables of a few rows that go to dlt together: it looks at a table for milliseconds, however few rows that has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa

from pipelines.sources.rows import ROWS_PER_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

BYTES_PER_TABLE: Final = 4_000_000
"""Bytes at which a table is handed over, however few rows it has."""


class TableBatch:
    """Tables of any schemas, put together into tables of about `ROWS_PER_TABLE` rows, each of one schema."""

    def __init__(self) -> None:
        self._waiting: dict[pa.Schema, list[pa.Table]] = {}

    def add(self, table: pa.Table) -> Iterator[pa.Table]:
        """Take a table, and hand over those of its schema if they have many rows."""
        waiting = self._waiting.setdefault(table.schema, [])
        waiting.append(table)
        if sum(one.num_rows for one in waiting) >= ROWS_PER_TABLE or sum(map(_bytes, waiting)) >= BYTES_PER_TABLE:
            yield pa.concat_tables(self._waiting.pop(table.schema))

    def hand_over(self) -> Iterator[pa.Table]:
        """Hand over all that wait."""
        waiting, self._waiting = self._waiting, {}
        yield from map(pa.concat_tables, waiting.values())


def _bytes(table: pa.Table) -> int:
    return int(table.nbytes)
