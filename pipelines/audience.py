"""The audience between two builds: the warehouse says whose posts travelled, the service who reacted to them."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dlt
from dlt.common.configuration import with_config
from dlt.common.configuration.exceptions import ConfigurationValueError

from pipelines.checks import NAMED_PROBLEMS
from pipelines.lake.duckdb_settings import duckdb_settings, has_relation
from pipelines.lake.loads import load
from pipelines.lake.readback import LakeReader
from pipelines.left_alone import left_alone
from pipelines.network.identifiers import is_did
from pipelines.sources.audience import AudienceAsker, AudiencePost, audience
from pipelines.sources.questions import POST_URI

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import duckdb

    from pipelines.network.connect import Network

_PLURALS = {
    "like": "likes",
    "repost": "reposts",
    "quote": "quotes",
    "reply": "replies",
    "post": "liked posts",
    "profile": "followed people",
}


@with_config(sections=("sources", "bluesky"))
def configured_audience_requests(audience_requests: int = dlt.config.value) -> int:
    """Tell how many requests a night may ask about the audience.

    Raises:
        ConfigurationValueError: It is no such number.
    """
    if not 0 <= audience_requests <= 1_000_000:
        raise ConfigurationValueError("[sources.bluesky]: audience_requests takes a number from 0 to 1000000")
    return audience_requests


@dataclass
class AudienceSummary:
    """What one night asked about the audience.

    Attributes:
        counts: What was found, by kind.
        problems: Questions that were not answered, by what was said.
        request_count: Requests that it took.
        is_asked: Whether there was anything to ask.
    """

    counts: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    request_count: int = 0
    is_asked: bool = False

    @property
    def exit_code(self) -> int:
        """The exit code of the job, if this were all that it did."""
        return 2 if self.problems else 0

    def __str__(self) -> str:
        """Say it in a line, and one more for each reason why there was no answer."""
        if not self.is_asked:
            return "nothing to ask for"
        found = ", ".join(f"{self.counts[kind]:,} {name}" for kind, name in _PLURALS.items() if self.counts[kind])
        lines = [f"{self.request_count:,} requests: {found or 'nothing found'}"]
        lines += [f"  {count:,} without an answer: {said}" for said, count in self.problems.most_common(NAMED_PROBLEMS)]
        if len(self.problems) > NAMED_PROBLEMS:
            lines.append(f"  and {len(self.problems) - NAMED_PROBLEMS:,} more reasons: see audience_pulls")
        return "\n".join(lines)


@dataclass(frozen=True)
class AskingTheAudience:
    """Asks about the audience.

    Attributes:
        pipeline: Where answers are loaded to.
        network: Whom to ask.
        clock: Tells the time of an observation.
        requests: How many may be sent.
    """

    pipeline: dlt.Pipeline
    network: Network
    clock: Callable[[], datetime]
    requests: int

    def ask(self) -> AudienceSummary:
        """Ask for what the warehouse wants, and load what comes of it.

        Raises:
            LakeError: The warehouse cannot be read, or DuckDB does not find what was loaded.
        """
        with closing(duckdb_settings(self.pipeline.pipeline_name).read_warehouse()) as warehouse:
            about, posts, dids = self._about(warehouse), _wanted_posts(warehouse), _wanted_people(warehouse)
            asker = AudienceAsker(self.network, self.clock, self.requests, left_alone(warehouse))
        if not (about or posts or dids):
            return AudienceSummary()
        reader = LakeReader(self.pipeline.pipeline_name)
        reader.expect(self.pipeline, load(self.pipeline, audience(asker, about, posts, dids)))
        return AudienceSummary(asker.counts, asker.problems, asker.budget.request_count, is_asked=True)

    def _about(self, warehouse: duckdb.DuckDBPyConnection) -> list[AudiencePost]:
        if not has_relation(warehouse, "int_audience_posts"):
            return []
        rows = warehouse.execute(
            "select post_uri, kind, known_count from int_audience_posts order by rank_number limit $1", [self.requests]
        ).fetchall()
        return [AudiencePost(*row) for row in rows]


def _wanted_posts(warehouse: duckdb.DuckDBPyConnection) -> list[str]:
    """Read which posts of others are wanted, as the last whole build knew it: that of a night before."""
    return [uri for uri in _wanted(warehouse, "int_wanted_posts", "post_uri") if POST_URI.fullmatch(uri)]


def _wanted_people(warehouse: duckdb.DuckDBPyConnection) -> list[str]:
    """Read whose profiles are wanted, as the last whole build knew it."""
    return [did for did in _wanted(warehouse, "int_wanted_profiles", "did") if is_did(did)]


def _wanted(warehouse: duckdb.DuckDBPyConnection, model: str, column: str) -> list[str]:
    if not has_relation(warehouse, model):
        return []
    rows = warehouse.execute(f"select {column} from {model} order by member_count desc, {column} limit 1000")
    return [name for (name,) in rows.fetchall()]
