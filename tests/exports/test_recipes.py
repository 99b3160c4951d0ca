"""What the recipes say is run as it stands, in a folder with an export."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pipelines.lake.bucket import PROJECT_ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.exports.conftest import Exporting

RECIPES = PROJECT_ROOT / "docs" / "recipes" / "README.md"


def test_the_python_ones(exporting: Exporting, parquet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exporting.run("parquet", "graph", "--kinds", "interactions,hashtags", "--format", "graphml")
    (tmp_path / "exported").symlink_to(parquet)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", RECIPES.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for block in blocks:
        exec(block, found)
    assert found["top"].height == len(found["quiet"]) == len(found["names"]) == 10
    assert all(name.endswith(".test") for name in found["names"])
