"""What the files of an export hold, for programs: a Data Package (https://datapackage.org/standard/data-package/)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pipelines.exports.columns import Column
    from pipelines.exports.tables import Format, WrittenTable

FILE: Final = "datapackage.json"

_TYPES: Final = {
    "BIGINT": "integer",
    "INTEGER": "integer",
    "HUGEINT": "integer",
    "SMALLINT": "integer",
    "UBIGINT": "integer",
    "DOUBLE": "number",
    "FLOAT": "number",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "TIMESTAMP WITH TIME ZONE": "datetime",
    "VARCHAR": "string",
}
_MEDIA_TYPES: Final[dict[Format, str]] = {
    "parquet": "application/vnd.apache.parquet",
    "csv": "text/csv",
    "jsonl": "application/jsonl",
}


def describe(tables: Iterable[WrittenTable], form: Format, observed_at: datetime | None, note: str) -> str:
    """Describe an export's tables and columns, in dbt's own words.

    Args:
        tables: What was written.
        form: The kind of the files.
        observed_at: The newest observation in them.
        note: What they are, and what they may be used for.
    """
    package: dict[str, Any] = {
        "name": "bluesky-lake",
        "title": "A community on Bluesky",
        "description": note,
        "resources": [_resource(table, form) for table in tables],
    }
    if observed_at is not None:
        package["version"] = observed_at.date().isoformat()
        package["created"] = observed_at.isoformat(timespec="seconds")
    return json.dumps(package, ensure_ascii=False, indent=2) + "\n"


def _resource(table: WrittenTable, form: Format) -> dict[str, Any]:
    return {
        "name": table.mart.name.replace("_", "-"),
        "path": table.file,
        "description": table.mart.description,
        "format": form,
        "mediatype": _MEDIA_TYPES[form],
        "encoding": "utf-8",
        "bytes": table.byte_count,
        "schema": {"fields": [_field(column, form) for column in table.mart.columns]},
    }


def _field(column: Column, form: Format) -> dict[str, str]:
    field = {"name": column.name, "type": _type_of(column), "description": column.description}
    if field["type"] == "datetime" and form != "parquet":
        field["format"] = "%Y-%m-%dT%H:%M:%S.%fZ"
    return field


def _type_of(column: Column) -> str:
    if column.is_list:
        return "array" if column.data_type.endswith("]") else "object"
    return _TYPES.get(column.data_type, "any")
