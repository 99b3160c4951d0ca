"""One page of the sample world, two weeks apart in its nights, for all tests to look at."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from pipelines import bluesky
from pipelines.lake.bucket import PROJECT_ROOT, use_project_settings
from pipelines.report import build_report
from pipelines.warehouse import CHECKED_MODELS, BuildOutcome
from tests.conftest import built_once
from tests.dbt_command import run_dbt

if TYPE_CHECKING:
    from pathlib import Path

Row = dict[str, Any]

NIGHTS = (1, 8, 15, 16)
"""Far enough apart for a week to have a week before it, and followers of a week ago."""


WAREHOUSE = "_data/sample/bluesky.duckdb"
PAGE = "report.html"
MEMORY_LIMIT = "1GB"


@dataclass(frozen=True)
class Published:
    """A page and the warehouse that it was built from.

    Attributes:
        day: Of the sample world, at its newest observation.
    """

    warehouse: Path
    page: Path
    day: int = NIGHTS[-1]

    @property
    def content(self) -> dict[str, Any]:
        return content_of(self.page.read_text(encoding="utf-8"))

    def rows(self, sql: str, **parameters: object) -> list[Row]:
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            connection.execute("set timezone = 'UTC'")
            relation = connection.execute(sql, parameters or None)
            names = [column[0] for column in relation.description or ()]
            return [dict(zip(names, row, strict=True)) for row in relation.fetchall()]


def content_of(page: str) -> dict[str, Any]:
    """Read what a page says, as its own script does."""
    embedded = re.search(r'<script type="application/json" id="content">(.*?)</script>', page, re.DOTALL)
    assert embedded
    content: dict[str, Any] = json.loads(embedded[1], object_hook=_unpacked)
    return content


def _unpacked(value: dict[str, Any]) -> Any:
    """Give rows the names of their columns again."""
    if value.keys() != {"columns", "rows"}:
        return value
    return [dict(zip(value["columns"], row, strict=True)) for row in value["rows"]]


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Published:
    folder = built_once(tmp_path_factory, "published", partial(build, parsed_project=parsed_project))
    return Published(folder / WAREHOUSE, folder / PAGE)


def run_models(*arguments: str) -> BuildOutcome:
    """Build without dbt's own tests, by the settings that the parsed project has."""
    outcome = run_dbt("run", *arguments, "--target=sample")
    assert outcome.success, outcome.exception
    return BuildOutcome("sample", is_success=True, counts=Counter(), seconds=0.0)


def build(folder: Path, parsed_project: Path) -> None:
    """Pull the nights into a lake of the folder's own, ask for what was missed, and build its warehouse and page."""
    for part in (".dlt", "target"):
        (folder / part).mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / ".dlt" / "config.toml", folder / ".dlt")
    shutil.copy(parsed_project, folder / "target")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if "__" in name.strip("_"):
                patch.delenv(name)
        patch.setenv("DLT_PROJECT_DIR", str(folder))
        patch.setenv("DLT_LOCAL_DIR", str(folder))
        patch.setenv("DLT_DATA_DIR", str(folder / "dlt"))
        patch.setenv("DBT_TARGET_PATH", str(folder / "target"))
        patch.setenv("DBT_LOG_PATH", str(folder / "logs"))
        for night in NIGHTS:
            assert bluesky.main(["--sample", "--day", str(night), "--no-transform", "--no-report"]) == 0
        patch.setattr(
            bluesky, "build_questions", lambda _: run_models("--select", *(f"+{name}" for name in CHECKED_MODELS))
        )
        patch.setattr(bluesky, "build_warehouse", lambda _: run_models())
        # Some of the questions are about people who are unavailable.
        assert bluesky.main(["--sample", "--day", str(NIGHTS[-1]), "--check", "--no-report"]) in (0, 2)
    use_project_settings()
    build_report(folder / WAREHOUSE, folder / PAGE, MEMORY_LIMIT)
