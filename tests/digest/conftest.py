"""The sample's reports, in memory, for tests to change, with something for each section."""

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
        connection.execute(
            """
            insert into rpt_liked_here by name
            select
                pack_uri, rank_number, post_uri, author_did, author_handle, text, labels, 3 as member_count,
                0 as liker_count,
                newest_observed_at as last_liked_at
            from rpt_top_posts cross join rpt_data_health
            where pack_uri = 'all' and period = 'week';
            update rpt_data_health set failed_member_count = 1, gap_count = 2, in_doubt_post_count = 3
            """
        )
        yield connection
