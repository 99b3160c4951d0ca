"""Writes the table of PRIVACY.md from dbt: what people can say, and what comes of it.

The reasons for which somebody is withheld stand in the model that decides, `int_publishable_authors`, and are described
beside its column `withheld_because`. A reason without a description, or a description without a reason, is an error.

python docs/privacy.py
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, TypedDict

import yaml

ROOT: Final = Path(__file__).parents[1]
PAGE: Final = ROOT / "PRIVACY.md"
MODELS: Final = ROOT / "dbt" / "models"
MODEL: Final = MODELS / "intermediate" / "from_staging" / "int_publishable_authors.sql"
DESCRIPTIONS: Final = MODEL.with_name("_int_from_staging__models.yml")

COLUMNS: Final = {
    "signal": "What people say",
    "source": "where it is read",
    "heard": "how fast",
    "lake": "the lake",
    "warehouse": "the warehouse",
    "page": "the page",
    "exports": "exports",
}

_BEGIN: Final = "<!-- Written by `uv run python docs/privacy.py` from dbt: change it there. -->\n"
_END: Final = "\n<!-- The end of the table. -->"
_REASON: Final = re.compile(r"\bthen '(\w+)'")


class Signal(TypedDict, total=False):
    """One row: the cell of each column, and the reason by which the model withholds somebody for it."""

    reason: str
    signal: str
    source: str
    heard: str
    lake: str
    warehouse: str
    page: str
    exports: str


def reasons_of(model: str) -> list[str]:
    """Name the reasons that the model gives, each once, in its order: the first that applies is told."""
    return list(dict.fromkeys(_REASON.findall(model)))


def read_signals(descriptions: str) -> list[Signal]:
    """Read what dbt says of the column `withheld_because`."""
    models = {model["name"]: model for model in yaml.safe_load(descriptions)["models"]}
    columns = {column["name"]: column for column in models[MODEL.stem]["columns"]}
    signals: list[Signal] = columns["withheld_because"]["config"]["meta"]["signals"]
    return signals


def table_of(signals: list[Signal], reasons: list[str]) -> str:
    """Write the table.

    Raises:
        ValueError: The signals describe other reasons than the model gives.
    """
    described = [signal["reason"] for signal in signals if "reason" in signal]
    if sorted(described) != sorted(reasons):
        raise ValueError(f"{DESCRIPTIONS.name} describes {described}, and {MODEL.name} gives {reasons}")
    lines = [f"| {' | '.join(COLUMNS.values())} | `withheld_because` |", "|---" * (len(COLUMNS) + 1) + "|"]
    for signal in signals:
        cells = {name: str(signal.get(name)) for name in COLUMNS}
        reason = f"`{signal['reason']}`" if "reason" in signal else ""
        lines.append(f"| {' | '.join(cells.values())} | {reason} |")
    return "\n".join(lines)


def page_of(page: str, table: str) -> str:
    """Put the table into the page, in place of the one that it has."""
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    return f"{before}{begin}\n{table}\n{end}{after}"


def written_page() -> str:
    """Give the page as it should be."""
    signals = read_signals(DESCRIPTIONS.read_text(encoding="utf-8"))
    table = table_of(signals, reasons_of(MODEL.read_text(encoding="utf-8")))
    return page_of(PAGE.read_text(encoding="utf-8"), table)


if __name__ == "__main__":
    PAGE.write_text(written_page(), encoding="utf-8")
