"""The audit of one member: their whole repository, proved, held against the lake, and what the lake lacks."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

from pipelines.lake.tables import MEMBER_RECORDS, RECORD_CHECKS
from pipelines.network.errors import MethodNotSupported, NetworkError, ServiceFailed
from pipelines.network.failing_services import OUT_OF_REACH, FailingServices
from pipelines.network.headers import host_of
from pipelines.network.not_proved import Check, NotProved
from pipelines.network.repo_proof import RepoRecord, proved
from pipelines.sources.feed_walk import AuditState, was_whole
from pipelines.sources.member_records import MemberRecordChanges
from pipelines.sources.questions import POST, Question
from pipelines.sources.repository_blocks import block_row
from pipelines.sources.repository_checks import UNAVAILABLE
from pipelines.sources.repository_comparison import AUDITED, REPOST, Comparison
from pipelines.sources.rows import ROWS_PER_TABLE, Row, arrow_table, microseconds, repo_record_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    import pyarrow as pa

    from pipelines.lake.tables import RawTable
    from pipelines.network.connect import Network
    from pipelines.network.repositories import LatestCommit
    from pipelines.sources.member_records import KeptCollections
    from pipelines.sources.record_checks import RecordAsker
    from pipelines.sources.repository_comparison import KnownRecord

BECAUSE: Final = "audit"

Missing: TypeAlias = "dict[tuple[str, str], str | None]"
"""Records that the lake lacks, by collection and key: the CID that the repository has; None where it told none."""


@dataclass
class MemberAudit:
    """An audit of one member. `begin` it, iterate `tables()` to its end; then `row()` says how it went.

    Attributes:
        network: The clients to ask.
        services: Which of the members' servers fail.
        asker: Asks for records that the lake lacks.
        did: Whose repository.
        last: What is remembered of the member's last audit.
        known: Reads what the lake knows of a member's posts and reposts, by URI.
        kept: Which other records are kept, and what the lake knows of them.
        observed_at: When the audit began.
        outcome: As in the column `feed_audits.outcome`.
        error: Why the list of records is not verified.
        next_state: What to remember of this audit; None if it failed or nobody serves the repository, so that it is due
            again the next night.
    """

    network: Network
    services: FailingServices
    asker: RecordAsker
    did: str
    last: AuditState | None
    known: Callable[[str], dict[str, KnownRecord]]
    kept: KeptCollections
    observed_at: datetime
    outcome: str = ""
    error: str | None = None
    next_state: AuditState | None = None
    _latest: LatestCommit | None = None
    _rev: str | None = None
    _commit_cid: str | None = None
    _comparison: Comparison | None = None
    _collections: list[str] | None = None
    _gone_count: int = 0
    _answers: Counter[str] = field(default_factory=Counter)
    _unreadable_count: int = 0

    def begin(self) -> None:
        """Ask which commit the repository is at, which may be the one that the last audit saw."""
        try:
            self._latest = self._latest_commit()
        except MethodNotSupported:
            return
        except (NetworkError, OSError) as error:
            self._end(error)
            return
        self._rev, self._commit_cid = self._latest.rev, self._latest.cid
        if self.last and was_whole(self.last) and self.last["rev"] == self._rev and self._has_kept(self.last):
            self.outcome = "unchanged"
            self._collections = self.last.get("collections")
            self._remember(is_whole=True)

    def _has_kept(self, last: AuditState) -> bool:
        """Tell whether an audit kept all that is to be kept, or nothing could prove what there is to keep."""
        collections = last.get("collections", [])
        return collections is None or self.kept.names <= set(collections)

    def _latest_commit(self) -> LatestCommit:
        repositories = self.network.repositories
        # A did:web is looked up at a host of its own.
        directory = "did:plc" if self.did.startswith("did:plc:") else self.did
        server = self.services.ask(directory, lambda: repositories.pds_endpoint(self.did), failures=OUT_OF_REACH)
        return self.services.ask(server, lambda: repositories.latest_commit(self.did))

    def tables(self) -> Iterator[pa.Table]:
        """Read the repository, hold it against the lake, and bring what the lake lacks.

        Yields:
            Tables of `record_checks`, `member_records` and `author_feed`. None of a repository that is not proved.
        """
        if self.outcome:
            return
        try:
            try:
                yield from self._proved()
            except MethodNotSupported as error:
                yield from self._listed(error)
        except (NetworkError, NotProved, OSError) as error:
            self._end(error)
        else:
            self._remember(is_whole=not self._unanswered_count)

    def _end(self, error: Exception) -> None:
        """Say why there is nothing to compare."""
        kinds = ((UNAVAILABLE, "unavailable"), (NotProved, "refused"))
        self.outcome = next((outcome for kind, outcome in kinds if isinstance(error, kind)), "failed")
        self.error = str(error)
        if self.outcome == "refused":
            self._remember(is_whole=False)

    def _remember(self, *, is_whole: bool) -> None:
        # An older commit than this is refused from now on: so a server's mere word does not count.
        is_read = is_whole or self.outcome == "verified"
        rev = self._rev if is_read else self.last and self.last["rev"]
        self.next_state = AuditState(audited_at=self.observed_at.isoformat(), rev=rev, is_whole=is_whole)
        if is_read:
            self.next_state["collections"] = self._collections

    @property
    def is_whole(self) -> bool:
        """Whether the lake lacks nothing now, but for what the repository itself has in pieces."""
        return self.next_state is not None and was_whole(self.next_state)

    @property
    def _unanswered_count(self) -> int:
        return sum(self._answers[name] for name in ("unknown", "account_unavailable", "shown_in_another_version"))

    def _proved(self) -> Iterator[pa.Table]:
        key = self.network.repositories.signing_key(self.did)
        if key is None:
            raise NotProved(Check.SIGNING_KEY, "the DID document names none that repositories are signed with")
        seen_before = [rev for rev in (self.last and self.last["rev"], self._latest and self._latest.rev) if rev]
        with (
            closing(self.network.repositories.repository(self.did)) as chunks,
            proved(chunks, self.did, key, since_rev=max(seen_before, default=None)) as repository,
        ):
            self._rev, self._commit_cid = repository.rev, repository.commit_cid
            comparison = Comparison(self.did, self.known(self.did))
            changes = MemberRecordChanges(self.kept, repository)
            # Blocks are read here, too, so that a broken one ends the audit before anything is told.
            missing: Missing = {
                (record.collection, record.rkey): record.cid
                for record in comparison.missing(changes.counted(repository.records(with_blocks_of=(REPOST,))))
            }
            self.outcome, self._comparison, self._collections = "verified", comparison, sorted(self.kept.names)
            yield from _in_batches(RECORD_CHECKS, (self._gone_row(uri) for uri in comparison.gone(self._rev)))
            if any(collection == REPOST for collection, _ in missing):
                records = repository.records(with_blocks_of=(REPOST,))
                reposts = (record for record in records if (record.collection, record.rkey) in missing)
                yield from _in_batches(RECORD_CHECKS, self._repost_rows(reposts, missing))
            if changes.count:
                rows = MemberRecordChanges(self.kept, repository).rows(self.observed_at)
                yield from _in_batches(MEMBER_RECORDS, rows)
        yield from self._ask(missing)

    def _repost_rows(self, records: Iterable[RepoRecord], missing: Missing) -> Iterator[Row]:
        """Give reposts as the repository has them, and take them out of what is to be asked for."""
        for record in records:
            if record.block is None:
                continue
            del missing[record.collection, record.rkey]
            question = self._question(record.collection, record.rkey)
            try:
                row = block_row(question.uri, record.cid, record.block, self.observed_at)
            except ValueError as error:
                self._unreadable_count += 1
                yield question.answered(self.observed_at, "unknown", error) | {"cid": record.cid}
            else:
                self._answers["in_repository"] += 1
                yield row | question.answered(self.observed_at, "in_repository")

    def _listed(self, why: MethodNotSupported) -> Iterator[pa.Table]:
        """Read lists where the server serves no repository. They prove nothing, so what they lack is asked for."""
        comparison = Comparison(self.did, self.known(self.did))
        missing: Missing = {}
        for collection in AUDITED:
            for page in self.network.repositories.records(self.did, collection):
                rows = {row["uri"]: row for row in (repo_record_row(raw, self.observed_at) for raw in page)}
                found = list(comparison.missing(map(self._listed_record, rows.values())))
                missing |= {(POST, record.rkey): record.cid for record in found if record.collection == POST}
                reposts = [comparison.uri_of(record) for record in found if record.collection == REPOST]
                self._answers["in_repository"] += len(reposts)
                questions = (self._question(REPOST, uri.rpartition("/")[2]) for uri in reposts)
                answered = (
                    rows[question.uri] | question.answered(self.observed_at, "in_repository") for question in questions
                )
                yield from _in_batches(RECORD_CHECKS, answered)
        self.outcome, self._comparison = "listed", comparison
        self.error = f"nothing is verified, as there are only lists: {why}"
        yield from self._ask(missing)
        answers, self._answers = self._answers, Counter()
        gone = comparison.gone(self._rev)
        yield from self._ask({(uri.split("/")[3], uri.rpartition("/")[2]): None for uri in gone})
        self._gone_count, left_out = self._answers.pop("record_gone", 0), self._answers
        self._answers = answers
        for outcome in ("unknown", "account_unavailable"):
            answers[outcome] += left_out.pop(outcome, 0)
        comparison.present_count += sum(left_out.values())

    def _listed_record(self, row: Row) -> RepoRecord:
        prefix, _, rkey = (row["uri"] or "").rpartition("/")
        collection = prefix.removeprefix(f"at://{self.did}/")
        if collection not in AUDITED or row["cid"] is None:
            what = "it lists something that is no record of this repository"
            server = host_of(self.network.repositories.pds_endpoint(self.did))
            raise ServiceFailed(server, "com.atproto.repo.listRecords", self.did, what)
        return RepoRecord(collection, rkey, row["cid"])

    def _ask(self, missing: Missing) -> Iterator[pa.Table]:
        cids = {self._question(*path).uri: cid for path, cid in missing.items()}
        for table in self.asker.ask([self._question(*path) for path in sorted(missing)]):
            if table.schema.equals(RECORD_CHECKS.schema):
                self._answers.update(str(outcome) for outcome in table["outcome"].to_pylist())
            else:
                versions = zip(table["post_uri"].to_pylist(), table["post_cid"].to_pylist(), strict=True)
                other_count = sum(cid is not None and cids[str(uri)] not in (None, cid) for uri, cid in versions)
                self._answers.update(shown=-other_count, shown_in_another_version=other_count)
            yield table

    def _gone_row(self, uri: str) -> Row:
        self._gone_count += 1
        _, collection, rkey = uri.removeprefix("at://").split("/")
        return self._question(collection, rkey).answered(self.observed_at, "record_gone")

    def _question(self, collection: str, rkey: str) -> Question:
        return Question(f"at://{self.did}/{collection}/{rkey}", self.did, collection, BECAUSE)

    def row(self) -> Row:
        """Say how the audit went, as a row of `feed_audits`."""
        row: Row = {
            "member_did": self.did,
            "observed_at": microseconds(self.observed_at),
            "outcome": self.outcome,
            "error": self.error,
            "rev": self._rev,
            "commit_cid": self._commit_cid,
            "audited_collections": self._collections,
        }
        if self._comparison is None or self.outcome not in ("verified", "listed"):
            return row
        counts, answers = self._comparison.record_counts, self._answers
        # What was deleted between the reading and the asking is expected no more.
        healed_count = answers["shown"] + answers["in_repository"]
        unreadable_count = self._unreadable_count + self._unanswered_count
        missing_count = healed_count + answers["hidden_by_service"] + unreadable_count
        return row | {
            "record_counts": [{"collection": name, "record_count": count} for name, count in sorted(counts.items())],
            "expected_count": self._comparison.present_count + missing_count,
            "present_count": self._comparison.present_count,
            "missing_count": missing_count,
            "healed_count": healed_count,
            "hidden_count": answers["hidden_by_service"],
            "unreadable_count": unreadable_count,
            "gone_count": self._gone_count,
        }


def _in_batches(table: RawTable, rows: Iterable[Row]) -> Iterator[pa.Table]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == ROWS_PER_TABLE:
            yield arrow_table(table, batch)
            batch = []
    if batch:
        yield arrow_table(table, batch)
