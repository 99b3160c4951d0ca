"""The sample's warehouse, the one that the page is tested with, and exports from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from pipelines import export
from pipelines.lake.bucket import use_project_settings
from tests.report.conftest import Published, published
from tests.report.test_privacy import withheld

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["published", "withheld"]

PUBLISHABLE_POSTS = """
    select post_uri, posted_date from int_publishable_posts
    union all
    select post_uri, posted_date
    from fct_posts
    join dim_authors on did = author_did and is_publishable and not is_member
    where not is_deleted and not is_in_doubt and post_uri not in (from int_stale_posts)
"""
"""Members' posts, and of people in no pack those that somebody has looked at lately."""


@dataclass(frozen=True)
class Exporting:
    """Exports from a warehouse.

    Attributes:
        marts: The warehouse.
        folder: Where exports go, each into a folder of its own.
        project: The project's folder, as far as dlt knows.
    """

    marts: Published
    folder: Path
    project: Path

    def run(self, name: str, *arguments: str) -> Path:
        """Run the command, and give the folder that it filled."""
        out = self.folder / name
        assert export.main([*arguments, "--sample", "--out", str(out)]) == 0
        return out


@pytest.fixture(scope="package")
def exporting(published: Published, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exporting]:
    project = published.warehouse.parents[2]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DLT_PROJECT_DIR", str(project))
        patch.setenv("DLT_LOCAL_DIR", str(project))
        patch.setenv("DLT_DATA_DIR", str(tmp_path_factory.mktemp("dlt")))
        use_project_settings()
        yield Exporting(published, tmp_path_factory.mktemp("exports"), project)
    use_project_settings()


@pytest.fixture(scope="package")
def csv(exporting: Exporting) -> Path:
    return exporting.run("csv", "tables", "--format", "csv")


@pytest.fixture(scope="package")
def parquet(exporting: Exporting) -> Path:
    return exporting.run("parquet", "tables")


@pytest.fixture(scope="package")
def renamed(exporting: Exporting) -> Path:
    """Everything that can be exported, of everybody, under other names."""
    out = exporting.run("renamed", "tables", "--all", "--pseudonyms")
    exporting.run("renamed", "graph", "--all", "--pseudonyms", "--kinds", "interactions,hashtags")
    return out
