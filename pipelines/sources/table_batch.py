"""Tables of a few rows that go to dlt together: it looks at a table for milliseconds, however few rows that has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from pipelines.sources.rows import ROWS_PER_TABLE

if TYPE_CHECKING:
    from collections.abc import Iterator

BYTES_PER_TABLE: Final = 4_000_000
"""Bytes at which a table is handed over, however few rows it has."""


@dataclass
class _Waiting:
    tables: list[pa.Table] = field(default_factory=list)
    row_count: int = 0
    byte_count: int = 0

    def add(self, table: pa.Table) -> None:
        self.tables.append(table)
        self.row_count += table.num_rows
        self.byte_count += table.nbytes

    @property
    def is_full(self) -> bool:
        return self.row_count >= ROWS_PER_TABLE or self.byte_count >= BYTES_PER_TABLE


class TableBatch:
    """Tables of any schemas, put together into tables of about `ROWS_PER_TABLE` rows, each of one schema."""

    def __init__(self) -> None:
        self._waiting: dict[pa.Schema, _Waiting] = {}

    def add(self, table: pa.Table) -> Iterator[pa.Table]:
        """Take a table, and hand over those of its schema if they have many rows."""
        waiting = self._waiting.setdefault(table.schema, _Waiting())
        waiting.add(table)
        if waiting.is_full:
            yield pa.concat_tables(self._waiting.pop(table.schema).tables)

    def hand_over(self) -> Iterator[pa.Table]:
        """Hand over all that wait."""
        all_waiting, self._waiting = self._waiting, {}
        for waiting in all_waiting.values():
            yield pa.concat_tables(waiting.tables)
