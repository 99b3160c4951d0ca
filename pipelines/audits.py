"""Audits of members between two builds: the warehouse says what the lake knows, a repository what exists."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pipelines.lake.duckdb_settings import duckdb_settings, has_relation
from pipelines.lake.readback import LakeReader
from pipelines.sources.feed_audits import Audits, feed_audits
from pipelines.sources.repository_comparison import KnownRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    import dlt
    import duckdb

    from pipelines.network.connect import Network
    from pipelines.sources.feed_walk import MemberState

NAMED_MEMBERS: Final = 10
"""Members that are named, of whom no audit was made."""

_ROWS_AT_ONCE: Final = 10_000


@dataclass
class AuditSummary:
    """What the audits of one run did.

    Attributes:
        outcomes: Audits by outcome.
        records: Their counts of records.
        notes: One line for each member whose audit did not come to a good end.
        request_count: Requests that they took.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    request_count: int = 0

    @property
    def exit_code(self) -> int:
        """The exit code of the job, if this were all that it did."""
        return 2 if self.notes else 0

    def __str__(self) -> str:
        """Say it in a line, and one more for each member whose audit did not come to a good end."""
        if not self.outcomes:
            return "none is due"
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in self.outcomes.most_common())
        records = ", ".join(f"{self.records[name]:,} {name}" for name in ("healed", "hidden", "unreadable", "gone"))
        lines = [f"{self.outcomes.total():,} members, {self.request_count:,} requests: {outcomes}"]
        if self.records["expected"]:
            lines.append(f"  {self.records['present']:,} of {self.records['expected']:,} records present; {records}")
        lines += [f"  {note}" for note in self.notes[:NAMED_MEMBERS]]
        if len(self.notes) > NAMED_MEMBERS:
            lines.append(f"  and {len(self.notes) - NAMED_MEMBERS:,} more: see feed_audits")
        return "\n".join(lines)


@dataclass(frozen=True)
class Auditing:
    """Makes audits.

    Attributes:
        pipeline: Where they are loaded to; its state has the members'.
        network: Whom to ask.
        clock: Tells the time of an observation.
    """

    pipeline: dlt.Pipeline
    network: Network
    clock: Callable[[], datetime]

    def audit(self, states: dict[str, MemberState], dids: Sequence[str]) -> AuditSummary:
        """Audit members, and load what comes of it.

        Args:
            states: What is remembered of the members, by DID.
            dids: Whose audit is due.

        Raises:
            LakeError: The warehouse cannot be read, or DuckDB does not find what was loaded.
        """
        if not dids:
            return AuditSummary()
        reader = LakeReader(self.pipeline.pipeline_name)
        requests_before = self.network.request_count
        with closing(duckdb_settings(self.pipeline.pipeline_name).read_warehouse()) as warehouse:
            if not has_relation(warehouse, "int_known_records"):
                return AuditSummary()
            dids = without_opted_out(warehouse, dids)
            if not dids:
                return AuditSummary()
            audits = Audits(self.network, self.clock, known_records(warehouse, dids))
            audits.begin(states, dids)
            while audits.waiting_count:
                reader.expect(self.pipeline, self.pipeline.run(feed_audits(audits)))
        request_count = self.network.request_count - requests_before
        return AuditSummary(audits.outcomes, audits.records, audits.notes, request_count)


def without_opted_out(warehouse: duckdb.DuckDBPyConnection, dids: Sequence[str]) -> list[str]:
    """Leave out whoever has opted out since they were last read: nobody reads their repository."""
    opted_out = {did for (did,) in warehouse.execute("select did from int_opted_out_authors").fetchall()}
    return [did for did in dids if did not in opted_out]


def known_records(warehouse: duckdb.DuckDBPyConnection, dids: Sequence[str]) -> Callable[[str], dict[str, KnownRecord]]:
    """Read from the warehouse what the lake knows of members.

    Args:
        warehouse: An open one, which stays open as long as it is read.
        dids: The members.

    Returns:
        What reads the records of one of them, by URI.
    """
    # The model is a view over all records: it is computed once, and sorted so that a member's rows stand together.
    warehouse.execute(
        "create or replace temp table known as select did, uri, cid, is_gone from int_known_records"
        " where did in (select unnest($1)) order by did",
        [list(dids)],
    )

    def known(did: str) -> dict[str, KnownRecord]:
        found = warehouse.execute("select uri, cid, is_gone from known where did = $1", [did])
        records: dict[str, KnownRecord] = {}
        while rows := found.fetchmany(_ROWS_AT_ONCE):
            records.update((uri, KnownRecord(cid, is_gone)) for uri, cid, is_gone in rows)
        return records

    return known
