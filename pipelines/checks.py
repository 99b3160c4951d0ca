"""What the job does between two builds: it asks for what the warehouse doubts, and loads the answers.

The warehouse says what is to be asked (`int_open_questions`) and what it knows (`int_known_records`). A question stays
open until its answer is in the lake, so that a run which is ended in between loses nothing.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pipelines.lake.duckdb_settings import duckdb_settings, has_relation
from pipelines.lake.loads import load
from pipelines.lake.readback import LakeReader
from pipelines.sources.questions import Question
from pipelines.sources.record_checks import RecordAsker, record_checks
from pipelines.sources.rows import from_microseconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    import dlt

    from pipelines.network.connect import Network

QUESTIONS_PER_LOAD: Final = 10_000
"""A load that holds so many answers is closed and the next one begun, so that a long check keeps its progress."""

NAMED_PROBLEMS: Final = 5
"""Reasons that are named for questions without an answer; the rest are many of the same kind."""


@dataclass
class Checks:
    """What one check did.

    Attributes:
        question_count: Records that were asked for.
        outcomes: Them by outcome.
        problems: Those that nobody could answer, by what was said.
        request_count: Requests that it took.
        load_count: Loads that it made.
    """

    question_count: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    problems: Counter[str] = field(default_factory=Counter)
    request_count: int = 0
    load_count: int = 0

    @property
    def exit_code(self) -> int:
        """The exit code of the job, if this were all that it did."""
        return 2 if self.problems else 0

    def __str__(self) -> str:
        """Say it in a line, and one more for each reason why there was no answer."""
        if not self.question_count:
            return "nothing vanished, nothing asked"
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in self.outcomes.most_common())
        lines = [f"{self.question_count:,} records asked for, {self.request_count:,} requests: {outcomes}"]
        lines += [f"  {count:,} unknown: {said}" for said, count in self.problems.most_common(NAMED_PROBLEMS)]
        if len(self.problems) > NAMED_PROBLEMS:
            lines.append(f"  and {len(self.problems) - NAMED_PROBLEMS:,} more reasons: see record_checks")
        return "\n".join(lines)


@dataclass(frozen=True)
class Checking:
    """Makes checks.

    Attributes:
        pipeline: Where answers are loaded to; its state has the members'.
        network: Whom to ask.
        clock: Tells the time of an observation.
    """

    pipeline: dlt.Pipeline
    network: Network
    clock: Callable[[], datetime]

    def check(self) -> Checks:
        """Ask for what the warehouse doubts, and load the answers.

        Raises:
            LakeError: The warehouse cannot be read, or DuckDB does not find what was loaded.
        """
        checks, reader = Checks(), LakeReader(self.pipeline.pipeline_name)
        requests_before = self.network.request_count
        asker = RecordAsker(self.network, self.clock)
        questions = self.open_questions()
        for start in range(0, len(questions), QUESTIONS_PER_LOAD):
            source = record_checks(questions[start : start + QUESTIONS_PER_LOAD], asker)
            reader.expect(self.pipeline, load(self.pipeline, source))
            checks.load_count += 1
        checks.question_count, checks.outcomes, checks.problems = len(questions), asker.outcomes, asker.problems
        checks.request_count = self.network.request_count - requests_before
        return checks

    def open_questions(self) -> list[Question]:
        """Read from the warehouse what it doubts; one member's questions stand together."""
        with closing(duckdb_settings(self.pipeline.pipeline_name).read_warehouse()) as warehouse:
            if not has_relation(warehouse, "int_open_questions"):
                return []
            rows = warehouse.execute(
                "select uri, did, collection, asked_because from int_open_questions order by did, uri"
            ).fetchall()
        return [Question(*row) for row in rows]

    def newest_gap(self) -> datetime | None:
        """Read from the warehouse when a feed of events was last found not to deliver a stretch of time."""
        with closing(duckdb_settings(self.pipeline.pipeline_name).read_warehouse()) as warehouse:
            if not has_relation(warehouse, "stg_bluesky__repo_event_gaps"):
                return None
            found = warehouse.execute("select epoch_us(max(observed_at)) from stg_bluesky__repo_event_gaps").fetchone()
        return from_microseconds(found[0]) if found and found[0] is not None else None
