"""The dlt source of the audits: members' repositories held against the lake, and what that brings into it."""

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from pipelines.lake.tables import FEED_AUDITS, MEMBER_RECORDS, RECORD_CHECKS
from pipelines.network.connect import Network
from pipelines.network.failing_services import FailingServices
from pipelines.network.service_clock import hear_the_time
from pipelines.sources.bluesky import author_feed, rows_of
from pipelines.sources.clients import WORKERS
from pipelines.sources.feed_walk import MemberState
from pipelines.sources.member_audit import MemberAudit
from pipelines.sources.member_records import KeptCollections
from pipelines.sources.member_states import Remembering, member_states
from pipelines.sources.pull_run import ITEMS_PER_LOAD
from pipelines.sources.record_checks import RecordAsker
from pipelines.sources.repository_comparison import KnownRecord
from pipelines.sources.rows import Row, arrow_table
from pipelines.sources.table_batch import TableBatch

_COUNTS = ("expected", "present", "missing", "healed", "hidden", "unreadable", "gone")


@dataclass
class Audits:
    """The audits of one run, which may take several loads.

    Attributes:
        network: The clients to ask.
        clock: Tells the time of an observation.
        known: Reads what the lake knows of a member's posts and reposts, by URI.
        kept: Which other records are kept, and what the lake knows of them.
        rows_per_load: A load that holds so many rows is closed and the next one begun.
        outcomes: Audits so far, by outcome.
        records: Their counts of records, as in the columns of `feed_audits`.
        notes: One line for each member whose audit did not come to a good end.
    """

    network: Network
    clock: Callable[[], datetime]
    known: Callable[[str], dict[str, KnownRecord]]
    kept: KeptCollections
    rows_per_load: int = ITEMS_PER_LOAD
    outcomes: Counter[str] = field(default_factory=Counter)
    records: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    _waiting: deque[MemberAudit] = field(default_factory=deque, repr=False)
    _states: Mapping[str, MemberState] = field(default_factory=dict, repr=False)

    @property
    def waiting_count(self) -> int:
        """Audits that wait for the next load, as the last one is full."""
        return len(self._waiting)

    def begin(self, states: Mapping[str, MemberState], dids: Sequence[str]) -> None:
        """Ask of several members at once at which commit their repositories are.

        Args:
            states: What is remembered of the members, by DID.
            dids: Whose audit is due; at least one.
        """
        self._states = states
        services, asker = FailingServices(), RecordAsker(self.network, self.clock)
        # The members' servers are not trusted with the time.
        hear_the_time(self.clock, lambda: self.network.appview.profiles([dids[0]]))
        with ThreadPoolExecutor(WORKERS) as pool:
            for did in dids:
                last = states[did].get("audit")
                audit = MemberAudit(self.network, services, asker, did, last, self.known, self.kept, self.clock())
                self._waiting.append(audit)
            list(pool.map(MemberAudit.begin, self._waiting))

    def tables(self, states: Remembering) -> Iterator[pa.Table]:
        """Audit one member after the other, until the load is full: memory holds what is known of one of them.

        Args:
            states: Where the members' states go to, after all rows, so that dlt stores them with these.

        Yields:
            Tables of `record_checks`, `member_records` and `author_feed`, and of `feed_audits` with a row a member.
        """
        batch, row_count = TableBatch(), 0
        moved: dict[str, MemberState] = {}
        while self._waiting and row_count < self.rows_per_load:
            audit = self._waiting.popleft()
            for table in audit.tables():
                row_count += table.num_rows
                yield from batch.add(table)
            yield from batch.add(arrow_table(FEED_AUDITS, [audit.row()]))
            self._count(audit)
            moved[audit.did] = self._state_after(audit)
        yield from batch.hand_over()
        states.update(moved)

    def _state_after(self, audit: MemberAudit) -> MemberState:
        state = self._states[audit.did].copy()
        if audit.next_state:
            state["audit"] = audit.next_state
        if audit.is_whole:
            state["doubtful_end_uri"] = None
        return state

    def _count(self, audit: MemberAudit) -> None:
        row: Row = audit.row()
        self.outcomes[audit.outcome] += 1
        self.records.update({name: row[f"{name}_count"] for name in _COUNTS if row.get(f"{name}_count")})
        if audit.outcome in ("failed", "refused"):
            self.notes.append(f"{audit.did}: {audit.outcome}: {audit.error}")
        elif not audit.is_whole and audit.outcome != "unavailable":
            self.notes.append(f"{audit.did}: {audit.outcome}, but some records were not to be had: see record_checks")


@dlt.resource(name="member_audits", selected=False)
def _member_audits(audits: Audits) -> Iterator[pa.Table]:
    yield from audits.tables(member_states(dlt.current.source_state(), dlt.current.source_schema().tables))


@dlt.source(name="bluesky", section="bluesky")
def feed_audits(audits: Audits) -> list[DltResource]:
    """Audits of members, and what they bring: answers about records, follows and likes, posts that the service shows.

    Args:
        audits: The run that this load is part of. It has begun.
    """
    members = _member_audits(audits)
    tables = (FEED_AUDITS, RECORD_CHECKS, MEMBER_RECORDS)
    return [*(members | rows_of(table) for table in tables), members | author_feed()]
