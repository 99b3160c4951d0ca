"""Copy the reports out of a warehouse, which holds more than may be published, into a DuckDB file of their own.

python .github/nightly/reports.py _data/bluesky.duckdb artifact/bluesky-reports.duckdb
"""

from __future__ import annotations

import sys
from pathlib import Path

import duckdb


def main(warehouse: str, reports: str) -> int:
    """Copy every `rpt_` table; return the exit code."""
    Path(reports).unlink(missing_ok=True)
    with duckdb.connect(reports) as connection:
        path = warehouse.replace("'", "''")
        connection.execute(f"attach '{path}' as warehouse (read_only)")
        tables = connection.execute(
            "select table_name from duckdb_tables()"
            " where database_name = 'warehouse' and starts_with(table_name, 'rpt_') order by table_name"
        ).fetchall()
        for (table,) in tables:
            connection.execute(f"create table {table} as from warehouse.{table}")
    print(f"{reports}: {len(tables)} tables")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:3]))
