"""What an audit keeps of a repository beside posts and reposts: follows and likes, or whatever the settings name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from pipelines.sources.repository_blocks import block_json
from pipelines.sources.repository_comparison import is_later
from pipelines.sources.rows import microseconds, subject_record_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from pipelines.network.repo_proof import ProvedRepository, RepoRecord
    from pipelines.sources.rows import Row


class KnownMemberRecord(NamedTuple):
    """A record of a member that the lake knows.

    Attributes:
        uri: Its at:// URI.
        cid: Its newest version; None where that is not known.
        is_gone: Whether the lake holds it to be gone.
    """

    uri: str
    cid: str | None
    is_gone: bool


@dataclass(frozen=True)
class KeptCollections:
    """Which records audits keep, beside posts and reposts.

    Attributes:
        names: Types of records.
        known: Reads what the lake knows of a member's records of these types, in the order of their URIs.
    """

    names: frozenset[str]
    known: Callable[[str], Iterator[KnownMemberRecord]]


@dataclass
class MemberRecordChanges:
    """Holds a repository's records, in its own order, against what the lake knows in the same order.

    So memory holds neither: a member may have liked a hundred thousand posts. It is used once, for `counted` or `rows`.

    Attributes:
        kept: Which records, and what the lake knows.
        repository: The member's, proved.
        count: Changes that were counted.
    """

    kept: KeptCollections
    repository: ProvedRepository
    count: int = 0
    _known: Iterator[KnownMemberRecord] = field(init=False, repr=False)
    _next: KnownMemberRecord | None = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        """Begin to read what the lake knows."""
        self._known = self.kept.known(self.repository.did)
        self._next = next(self._known, None)

    def counted(self, records: Iterable[RepoRecord]) -> Iterator[RepoRecord]:
        """Pass all records of the repository on, and count what is new, changed or gone.

        Raises:
            NotProved: The block of one that is new or changed does not have its hash.
        """
        for record in records:
            for _, new in self._changes_up_to(record):
                self.count += 1
                if new is not None:
                    self.repository.block(new)
            yield record
        self.count += sum(1 for _ in self._gone_before(None))

    def rows(self, observed_at: datetime) -> Iterator[Row]:
        """Write what is new, changed or gone as rows of `member_records`.

        A record of which the CAR lacks the block is left to a later audit.

        Args:
            observed_at: When the audit began.
        """
        for record in self.repository.records():
            for uri, new in self._changes_up_to(record):
                block = new and self.repository.block(new)
                if new is None or block is not None:
                    yield self._row(uri, observed_at) | (_content(new.cid, block, observed_at) if new and block else {})
        yield from (self._row(uri, observed_at) for uri, _ in self._gone_before(None))

    def _changes_up_to(self, record: RepoRecord) -> Iterator[tuple[str, RepoRecord | None]]:
        """Give the URIs of what is gone before a record, and the record itself if it is new or changed."""
        if record.collection not in self.kept.names:
            return
        uri = f"at://{self.repository.did}/{record.collection}/{record.rkey}"
        yield from self._gone_before(uri)
        known = self._next
        if known is not None and known.uri == uri:
            self._next = next(self._known, None)
            if not known.is_gone and known.cid in (None, record.cid):
                return
        yield uri, record

    def _gone_before(self, uri: str | None) -> Iterator[tuple[str, None]]:
        """Give what the lake knows before a URI, or to the end, and the repository has no more."""
        while self._next is not None and (uri is None or self._next.uri < uri):
            known, self._next = self._next, next(self._known, None)
            if not known.is_gone and not is_later(known.uri.rpartition("/")[2], self.repository.rev):
                yield known.uri, None

    def _row(self, uri: str, observed_at: datetime) -> Row:
        return {
            "uri": uri,
            "member_did": self.repository.did,
            "collection": uri.split("/")[3],
            "observed_at": microseconds(observed_at),
            "rev": self.repository.rev,
            "is_gone": True,
        }


def _content(cid: str, block: bytes, observed_at: datetime) -> Row:
    """Read a record that is there."""
    there: Row = {"is_gone": False, "cid": cid}
    try:
        return there | subject_record_row(block_json(block), observed_at)
    except ValueError as error:
        return there | {"issues": [f"$: {error}"]}
