"""The sample's reports, in memory, for tests to change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.report.conftest import Published, published

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["published"]


@pytest.fixture
def reports(published: Published) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        connection.execute(f"attach '{published.warehouse}' as warehouse (read_only)")
        for (name,) in connection.execute(
            "select table_name from duckdb_tables() where database_name = 'warehouse' and table_name like 'rpt_%'"
        ).fetchall():
            connection.execute(f"create table {name} as from warehouse.{name}")
        yield connection
