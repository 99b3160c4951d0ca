"""Audits of members between two builds: the warehouse says what the lake knows, a repository what exists."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pipelines.lake.duckdb_settings import duckdb_settings, has_relation
from pipelines.lake.loads import load
from pipelines.lake.readback import LakeReader
from pipelines.sources.feed_audits import Audits, feed_audits
from pipelines.sources.feed_walk import was_whole
from pipelines.sources.member_records import KeptCollections, KnownMemberRecord
from pipelines.sources.repository_comparison import KnownRecord
from pipelines.sources.turns import longest_wait

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    import dlt
    import duckdb

    from pipelines.network.connect import Network
    from pipelines.sources.feed_walk import MemberState

NAMED_MEMBERS: Final = 50
"""Members that are named, of whom no audit was made."""

FOLLOWED_NO_MORE: Final = timedelta(days=3)
"""Whose turn to be walked was so long before the newest walk of all has left the packs, or cannot be read."""

_ROWS_AT_ONCE: Final = 10_000


@dataclass
class AuditSummary:
    """What the audits of one run did.

    Attributes:
        outcomes: Audits by outcome.
        records: Their counts of records.
        notes: One line for each member whose last audit did not come to a good end, in this run or an earlier one.
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
        outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in self.outcomes.most_common())
        done = f"{self.outcomes.total():,} members, {self.request_count:,} requests: {outcomes}"
        lines = [done if self.outcomes else "none is due"]
        records = ", ".join(f"{self.records[name]:,} {name}" for name in ("healed", "hidden", "unreadable", "gone"))
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
        collections: Types of records that are kept beside posts and reposts.
        spread: Over how many nights the members are spread.
    """

    pipeline: dlt.Pipeline
    network: Network
    clock: Callable[[], datetime]
    collections: Collection[str] = ()
    spread: int = 1

    def audit(self, states: dict[str, MemberState], dids: Sequence[str]) -> AuditSummary:
        """Audit members, and load what comes of it.

        Args:
            states: What is remembered of the members, by DID.
            dids: Whose audit is due.

        Raises:
            LakeError: The warehouse cannot be read, or DuckDB does not find what was loaded.
        """
        waiting = notes_of_waiting(states, set(dids), self.spread)
        if not dids:
            return AuditSummary(notes=waiting)
        reader = LakeReader(self.pipeline.pipeline_name)
        requests_before = self.network.request_count
        with closing(duckdb_settings(self.pipeline.pipeline_name).read_warehouse()) as warehouse:
            if not has_relation(warehouse, "int_known_records"):
                return AuditSummary(notes=waiting)
            dids = without_opted_out(warehouse, dids)
            if not dids:
                return AuditSummary(notes=waiting)
            kept = KeptCollections(frozenset(self.collections), known_member_records(warehouse, dids, self.collections))
            audits = Audits(self.network, self.clock, known_records(warehouse, dids), kept)
            audits.begin(states, dids)
            while audits.waiting_count:
                reader.expect(self.pipeline, load(self.pipeline, feed_audits(audits)))
        request_count = self.network.request_count - requests_before
        return AuditSummary(audits.outcomes, audits.records, audits.notes + waiting, request_count)


def audits_due(
    states: Mapping[str, MemberState],
    now: datetime,
    audit_days: float,
    *,
    gap_at: datetime | None = None,
    is_all: bool = False,
    spread: int = 1,
) -> list[str]:
    """Say whose audit is due.

    Args:
        states: What is remembered of the members, by DID.
        now: The time.
        audit_days: How often a member is audited.
        gap_at: When a feed of events was last found not to deliver a stretch of time; None if it never was.
        is_all: Whether everybody is to be audited now.
        spread: Over how many nights the members are spread.

    Returns:
        Members of whom an end is doubted, or whose last audit is so long ago or older than the gap, or who have had
        none. Who was not walked since their last audit has nothing new in the lake. An audit that was not whole is
        neither hurried by a doubt, since the whole repository would be read every night, nor left out without a walk.
    """
    due = []
    for did, state in followed(states, spread).items():
        audit = state.get("audit")
        if audit is None or is_all:
            due.append(did)
            continue
        audited_at = datetime.fromisoformat(audit["audited_at"])
        was_walked = datetime.fromisoformat(state["pulled_at"]) > audited_at
        is_long_ago = now - audited_at >= timedelta(days=audit_days)
        is_gap_since = gap_at is not None and gap_at > audited_at
        if was_whole(audit):
            is_due = state["doubtful_end_uri"] is not None or (was_walked and (is_long_ago or is_gap_since))
        else:
            is_due = is_long_ago or (was_walked and is_gap_since)
        if is_due:
            due.append(did)
    return due


def followed(states: Mapping[str, MemberState], spread: int) -> dict[str, MemberState]:
    """Leave out whoever was not walked in the last runs, though others were: nobody asks for them any more.

    Somebody who had been silent, or whose part of the members comes later, may wait to be asked, and is followed
    meanwhile.

    Args:
        states: What is remembered of the members, by DID.
        spread: Over how many nights the members are spread.
    """
    pulled_at = {did: datetime.fromisoformat(state["pulled_at"]) for did, state in states.items()}
    newest_walk = max(pulled_at.values(), default=None)
    return {
        did: state
        for did, state in states.items()
        if newest_walk is not None and newest_walk - pulled_at[did] <= longest_wait(state, spread) + FOLLOWED_NO_MORE
    }


def notes_of_waiting(states: Mapping[str, MemberState], dids: Collection[str], spread: int = 1) -> list[str]:
    """Name the members whose last audit was not whole, and who are not audited now.

    Args:
        states: What is remembered of the members, by DID.
        dids: Who is audited now.
        spread: Over how many nights the members are spread.
    """
    return [
        f"{did}: not whole when audited at {audit['audited_at']}, due again after audit_days: see feed_audits"
        for did, state in followed(states, spread).items()
        if did not in dids and (audit := state.get("audit")) is not None and not was_whole(audit)
    ]


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


def known_member_records(
    warehouse: duckdb.DuckDBPyConnection, dids: Sequence[str], collections: Collection[str]
) -> Callable[[str], Iterator[KnownMemberRecord]]:
    """Read from the warehouse what the lake knows of members' follows, likes and other records.

    Args:
        warehouse: An open one, which stays open as long as it is read.
        dids: The members.
        collections: Types of records.

    Returns:
        What reads the records of one of them, in the order of their URIs. A new reading ends the one before.
    """
    if not collections:
        return lambda _: iter(())
    warehouse.execute(
        "create or replace temp table known_member_records as select did, uri, cid, is_gone"
        " from int_known_member_records where did in (select unnest($1)) and collection in (select unnest($2))"
        " order by did, uri",
        [list(dids), list(collections)],
    )

    def known(did: str) -> Iterator[KnownMemberRecord]:
        found = warehouse.execute(
            "select uri, cid, is_gone from known_member_records where did = $1 order by uri", [did]
        )
        while rows := found.fetchmany(_ROWS_AT_ONCE):
            yield from (KnownMemberRecord(*row) for row in rows)

    return known
