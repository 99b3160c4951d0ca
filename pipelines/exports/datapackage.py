"""What the files of an export hold, for programs: a Data Package (https://datapackage.org/standard/data-package/)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, cast

from pipelines.exports.marts import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pipelines.exports.columns import Column
    from pipelines.exports.tables import Format, WrittenTable

FILE: Final = "datapackage.json"
_FILE: Final = re.compile(r"(?:[a-z_]+/)?[a-z_]+\.(?:parquet|csv|jsonl)")

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
    return _written(package)


def expect_same_kind(before: str | None, note: str, place: str) -> None:
    """See that an export can go to where another one is.

    Args:
        before: The description of the one that is there; None if none is.
        note: What the new one's files are, and what they may be used for.
        place: Where it is, for people.

    Raises:
        ExportError: Files that may be used otherwise would lie beside the new ones.
    """
    package = _read(before)
    if package and package.get("description") != note:
        raise ExportError(f"{place} has an export of another kind (--all, --pseudonyms): take another, or empty it.")


def together(package: str, before: str | None) -> tuple[str, list[str]]:
    """Put an export beside the one before it.

    Args:
        package: What `describe` gave.
        before: The description of what is there; None if nothing is.

    Returns:
        The description of both if they are of the same observations; else the new one's, and the paths of files that
        only the old one has: they may name somebody who has asked meanwhile not to be.
    """
    new, old = json.loads(package), _read(before)
    paths = {table["path"] for table in new["resources"]}
    others = [
        table for table in old.get("resources", ()) if _FILE.fullmatch(table["path"]) and table["path"] not in paths
    ]
    if old.get("created") != new.get("created"):
        return package, [table["path"] for table in others]
    new["resources"] += others
    return _written(new), []


def _read(package: str | None) -> dict[str, Any]:
    """Read a description; one that is none of ours has nothing in it."""
    try:
        read = json.loads(package or "{}")
        paths = [table["path"] for table in read.get("resources", ())]
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}
    return cast("dict[str, Any]", read) if all(isinstance(path, str) for path in paths) else {}


def _written(package: dict[str, Any]) -> str:
    return json.dumps(package, ensure_ascii=False, indent=2) + "\n"


def _resource(table: WrittenTable, form: Format) -> dict[str, Any]:
    return {
        "name": f"{table.mart.name}.{form}",  # A table may be there in several formats.
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
