"""Say on the run's page how the night went, and what has changed in what Bluesky sends."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
from others_words import annotate, code_block, in_markdown, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

PULL_LOG: Final = Path("_data/pull.log")
WAREHOUSE: Final = Path("_data/bluesky.duckdb")
REPORT: Final = Path("_data/report.html")


def lines() -> Iterator[str]:
    """Give the summary as Markdown; what a failed night did not come to is left out."""
    yield "## The night"
    if PULL_LOG.exists():
        log = without_secrets(PULL_LOG.read_text(encoding="utf-8", errors="backslashreplace"))
        # Where the lake is, is nobody else's business, also where no secret says it.
        lines = (line for line in log.split("\n") if not line.strip().lower().startswith(("lake ", "the lake ")))
        yield from code_block(lines)
    else:
        yield "Nothing was pulled."
    if WAREHOUSE.exists():
        try:
            yield from _marts()
        except duckdb.Error as error:
            yield f"The warehouse cannot be read: {in_markdown(without_secrets(str(error).splitlines()[0]))}"
    if REPORT.exists():
        yield f"\nReport: {REPORT.stat().st_size / 1e6:.2f} MB."


def _marts() -> Iterator[str]:
    with duckdb.connect(str(WAREHOUSE), read_only=True) as marts:
        health = marts.execute("from rpt_data_health")
        names = [column[0] for column in health.description or ()]
        yield from ("", "| | |", "|---|---:|")
        for name, value in zip(names, health.fetchone() or (), strict=False):
            yield f"| {name.replace('_', ' ')} | {in_markdown(str(value))} |"
        changes = marts.execute(
            """
            select table_name || '.' || column_name, change, coalesce(previous_data_type || ' to ', '') || data_type
            from rpt_schema_changes
            where changed_at >= (select max(started_at) from fct_loads)
            order by 1
            """
        ).fetchall()
    if changes:
        yield from ("", "### What Bluesky sends has changed", "| column | change | type |", "|---|---|---|")
    for column, change, data_type in changes:
        words = [column, change.replace("_", " "), data_type]
        annotate("warning", "{}: {}, {}".format(*words), title="Schema change")
        yield f"| {' | '.join(map(in_markdown, words))} |"


def main() -> int:
    """Write the summary; return the exit code."""
    text = "\n".join(lines()) + "\n"
    target = os.environ.get("GITHUB_STEP_SUMMARY")
    if target:
        with Path(target).open("a", encoding="utf-8") as summary:
            summary.write(text)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
