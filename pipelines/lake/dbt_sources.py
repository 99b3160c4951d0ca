"""dbt's view of the raw layer, written from its contract: `python -m pipelines.lake.dbt_sources`.

It writes the source `bluesky` with each column's type, and a docs block for each column, named `<table>__<column>`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from pipelines.lake.bucket import PROJECT_ROOT
from pipelines.lake.tables import CHECK_TABLES, LIVE_TABLES, RAW_TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.lake.tables import RawTable

STAGING: Final = PROJECT_ROOT / "dbt" / "models" / "staging"
COMMAND: Final = "python -m pipelines.lake.dbt_sources"
_WRITTEN_BY: Final = f"Written by `{COMMAND}` from pipelines/lake/tables.py: change it there, and run the command."

_SOURCE: Final = """\
version: 2

sources:
  - name: bluesky
    description: "What the pull and the live job wrote into the lake, append-only. A row says what was seen, and when."
    config:
      meta:
        external_location: "read_parquet(getvariable('lake_pattern') || '/{name}/**/*.parquet', union_by_name = true)"
      loaded_at_query: |
        select max(to_timestamp(regexp_extract(file, '([0-9]{9,}[.][0-9]+)[^/]*$', 1)::double)) as max_loaded_at
        from glob(getvariable('lake_pattern') || '/feed_pulls/**/*.parquet')
      freshness:
        warn_after: {count: 36, period: hour}
        error_after: {count: 7, period: day}
    tables:
"""

_DUCKDB_TYPES: Final = {
    pa.string(): "varchar",
    pa.int64(): "bigint",
    pa.bool_(): "boolean",
    pa.timestamp("us", tz="UTC"): "timestamptz",
}


def generated_files() -> dict[Path, str]:
    """Say what each generated file must hold."""
    tables = (*RAW_TABLES, *CHECK_TABLES, *LIVE_TABLES)
    return {
        STAGING / "_bluesky__sources.yml": f"# {_WRITTEN_BY}\n{_SOURCE}{''.join(map(_source_table, tables))}",
        STAGING / "_bluesky__docs.md": f"{_WRITTEN_BY}\n{''.join(map(_docs_blocks, tables))}",
    }


def _source_table(table: RawTable) -> str:
    lines = [f"      - name: {table.name}", f"        description: {json.dumps(table.description)}"]
    if table not in RAW_TABLES:
        lines.append("        config: {freshness: null} # no night has to write it")
    lines.append("        columns:")
    columns = [(column.name, column.type, f"{table.name}__{column.name}") for column in table.schema]
    for name, data_type, docs_block in [*columns, ("_dlt_load_id", pa.string(), "_dlt_loads__load_id")]:
        lines += [
            f"          - name: {name}",
            f"            data_type: {_duckdb_type(data_type)}",
            f"            description: \"{{{{ doc('{docs_block}') }}}}\"",
        ]
    return "\n".join(lines) + "\n"


def _docs_blocks(table: RawTable) -> str:
    return "".join(
        f"\n{{% docs {table.name}__{column} %}}\n{table.column_description(column)}\n{{% enddocs %}}\n"
        for column in table.schema.names
    )


def _duckdb_type(data_type: pa.DataType) -> str:
    if isinstance(data_type, pa.ListType):
        return f"{_duckdb_type(data_type.value_type)}[]"
    if isinstance(data_type, pa.StructType):
        return f"struct({', '.join(f'{field.name} {_duckdb_type(field.type)}' for field in data_type.fields)})"
    return _DUCKDB_TYPES[data_type]


def main() -> None:
    """Write the files."""
    for path, text in generated_files().items():
        path.write_text(text)
        print(path.relative_to(PROJECT_ROOT))


if __name__ == "__main__":
    main()
