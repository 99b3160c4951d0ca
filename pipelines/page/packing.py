"""Rows without the names of their columns in each of them: the page has many, and they are most of its bytes."""

from __future__ import annotations

from typing import Any


def packed(value: Any) -> Any:
    """Write rows that have the same columns as `{"columns": [...], "rows": [[...], ...]}`, at any depth.

    `unpacked` in `words.js` is its opposite.
    """
    match value:
        case dict():
            return {name: packed(each) for name, each in value.items()}
        case [dict() as first, _, *_] if all(isinstance(row, dict) and row.keys() == first.keys() for row in value):
            return {"columns": list(first), "rows": [[packed(row[name]) for name in first] for row in value]}
        case list() | tuple():
            return [packed(each) for each in value]
    return value
