"""Nights that are kept in a bucket, set up as a user does it: by dlt's settings alone."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest.mock import patch

import duckdb

from pipelines.lake.duckdb_settings import duckdb_settings
from tests.job import run_job

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.server import SampleServer

MEMBERS = ("nils", "otto", "sofia", "ruth", "silent")


@dataclass
class BucketNights:
    """Nights over a few members of the sample world, each in a process of its own.

    Attributes:
        project: The folder that holds `.dlt`.
        bucket: The bucket's settings, by the names of environment variables.
    """

    server: SampleServer
    project: Path
    bucket: dict[str, str]

    @property
    def members(self) -> list[str]:
        return [self.server.world.actor(name).did for name in MEMBERS]

    @property
    def output(self) -> str:
        """What the job has said so far."""
        return self._output.read_text()

    @property
    def _output(self) -> Path:
        return self.project / "output.txt"

    def run(self, machine: str) -> int:
        """Run the job on a machine: one that did so before has dlt's working folder."""
        settings = self.bucket | {
            "DLT_PROJECT_DIR": str(self.project),
            "DLT_DATA_DIR": str(self.project / machine),
            "SOURCES__BLUESKY__SERVICE": self.server.url,
            "SOURCES__BLUESKY__STARTER_PACKS": "[]",
            "SOURCES__BLUESKY__ACTORS": json.dumps(self.members),
            "SOURCES__BLUESKY__REQUESTS_PER_SECOND": "10000",
        }
        return run_job(settings, self._output)

    def items(self) -> set[tuple[str, str]]:
        """The feed items in the bucket, by member and URI, as DuckDB reads them with the same settings."""
        with patch.dict(os.environ, self.bucket), duckdb.connect() as connection:
            settings = duckdb_settings("bluesky")
            settings.configure(connection)
            files = f"{settings.lake_path}/author_feed/**/*.parquet"
            return set(connection.sql(f"select member_did, item_uri from read_parquet('{files}')").fetchall())

    def assert_a_pull_goes_on_from_another_machine(self) -> None:
        """The cursors come from the bucket: the second night asks for one page a member, and nothing is missing."""
        feeds: set[tuple[str, str]] = set()
        for day in (1, 2):
            self.server.day = day
            self.server.requests.clear()
            assert self.run(f"machine {day}") == 0, self.output
            feeds |= {(did, item.uri) for did in self.members for item in self.server.world.on(day).feed(did)}
        pages = Counter(request.params["actor"] for request in self.server.requests if "getAuthorFeed" in request.nsid)
        assert pages == dict.fromkeys(self.members, 1)
        assert self.items() == feeds
