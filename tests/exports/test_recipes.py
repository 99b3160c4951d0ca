"""What the recipes say is run as it stands, in a folder with an export."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.lake.bucket import PROJECT_ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from tests.exports.conftest import Exporting

RECIPES = PROJECT_ROOT / "docs" / "recipes" / "README.md"


def blocks(language: str) -> list[str]:
    recipes = RECIPES.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", recipes, re.MULTILINE | re.DOTALL)


def test_the_python_ones(exporting: Exporting, parquet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exporting.run("parquet", "graph", "--kinds", "interactions,hashtags", "--format", "graphml")
    (tmp_path / "exported").symlink_to(parquet)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    for block in blocks("python"):
        exec(block, found)
    assert found["top"].height == len(found["quiet"]) == len(found["names"]) == 10
    assert all(name.endswith(".test") for name in found["names"])


@pytest.mark.slow
def test_pandas(parquet: Path, tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    subprocess.run(
        ["uv", "pip", "install", "--quiet", "--python", sys.executable, "--target", packages, "--group", "recipes"],
        cwd=PROJECT_ROOT,
        check=True,
    )
    (tmp_path / "exported").symlink_to(parquet)
    (recipe,) = blocks("py")
    done = subprocess.run(
        [sys.executable, "-c", f"{recipe}\nprint(len(typical), typical.max())"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(packages)},
        check=True,
        capture_output=True,
        text=True,
    )
    weeks, most = done.stdout.split()
    assert int(weeks) > 2
    assert float(most) > 0
