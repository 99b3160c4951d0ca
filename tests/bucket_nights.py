"""Nights that are kept in a bucket, set up as a user does it: by dlt's settings alone."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from unittest.mock import patch

import duckdb

from pipelines.lake.duckdb_settings import duckdb_settings
from tests.job import AtCall, run_job

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipelines.sample.appview.server import SampleServer

MEMBERS = ("nils", "otto", "sofia", "ruth", "silent")


@dataclass
class BucketNights:
    """Nights over a few members of the sample world, each in a process of its own.

    Attributes:
        project: The folder that holds `.dlt`.
        bucket: The bucket's settings, by the names of environment variables, as far as they are not in `.dlt`.
        names: Who is followed.
        packs: And whose members are.
        feeds: What was in the members' feeds on the days that were pulled: member and URI.
        start: Runs the job, with the arguments of `run_job`.
    """

    server: SampleServer
    project: Path
    bucket: dict[str, str]
    names: tuple[str, ...] = MEMBERS
    packs: tuple[str, ...] = ()
    feeds: set[tuple[str, str]] = field(default_factory=set)
    start: Callable[..., int] = run_job

    @property
    def members(self) -> list[str]:
        return [self.server.world.actor(name).did for name in self.names]

    @property
    def output(self) -> str:
        """What the job has said so far."""
        return self._output.read_text()

    @property
    def _output(self) -> Path:
        return self.project / "output.txt"

    @property
    def dbt_folders(self) -> dict[str, str]:
        """Where dbt keeps what it writes beside the warehouse."""
        return {"DBT_TARGET_PATH": str(self.project / "target"), "DBT_LOG_PATH": str(self.project / "logs")}

    def run(self, machine: str, *arguments: str, death: AtCall | None = None) -> int:
        """Run the job, which only pulls if not told else, on a machine; where it ran before is dlt's working folder."""
        settings = self.bucket | self.dbt_folders
        settings |= {
            "DLT_PROJECT_DIR": str(self.project),
            "DLT_DATA_DIR": str(self.project / machine),
            "SOURCES__BLUESKY__SERVICE": self.server.url,
            "SOURCES__BLUESKY__PLC_DIRECTORY": self.server.url,
            "SOURCES__BLUESKY__STARTER_PACKS": json.dumps(self.packs),
            "SOURCES__BLUESKY__ACTORS": json.dumps(self.members),
            "SOURCES__BLUESKY__REQUESTS_PER_SECOND": "10000",
        }
        options = {"arguments": arguments} if arguments else {}
        return self.start(settings, self._output, death=death, **options)

    def pull(self, day: int, machine: str) -> Counter[str]:
        """Pull a day, and give how many pages each member's feed took."""
        self.server.day = day
        self.server.requests.clear()
        assert self.run(machine) == 0, self.output
        self.expect(day)
        return Counter(request.params["actor"] for request in self.server.requests if "getAuthorFeed" in request.nsid)

    def expect(self, day: int) -> None:
        """Say that a day was pulled."""
        self.feeds |= {(did, item.uri) for did in self.members for item in self.server.world.on(day).feed(did)}

    def query(self, sql: str) -> list[tuple[object, ...]]:
        """Ask DuckDB, which has the same settings; `$lake` is where the tables are, `$bucket` the folder around it."""
        with patch.dict(os.environ, self.bucket), duckdb.connect() as connection:
            settings = duckdb_settings("bluesky")
            settings.configure(connection)
            bucket = settings.lake_path.rpartition("/")[0]
            return connection.execute(sql.replace("$lake", settings.lake_path).replace("$bucket", bucket)).fetchall()

    def items(self) -> set[tuple[object, ...]]:
        """The feed items in the bucket, by member and URI."""
        return set(self.query("select member_did, item_uri from read_parquet('$lake/author_feed/**/*.parquet')"))

    def assert_a_pull_goes_on_from_another_machine(self, *, days: int = 2) -> None:
        """The cursors come from the bucket: each later night asks for one page a member, and nothing is missing."""
        for day in range(1, days + 1):
            pages = self.pull(day, f"machine {day}")
            assert day == 1 or pages == dict.fromkeys(self.members, 1)
            assert self.items() == self.feeds
