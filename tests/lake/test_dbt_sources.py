"""dbt's sources and docs blocks say what the contract of the raw layer says."""

from __future__ import annotations

from pipelines.lake.dbt_sources import COMMAND, generated_files


def test_the_generated_files_are_fresh() -> None:
    stale = [path.name for path, text in generated_files().items() if not path.exists() or path.read_text() != text]
    assert not stale, f"not what pipelines/lake/tables.py says: {', '.join(stale)}; regenerate with `{COMMAND}`"
