"""One member's repository held against what the lake knows of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

from pipelines.sources.questions import POST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipelines.network.repo_proof import RepoRecord

REPOST: Final = "app.bsky.feed.repost"
AUDITED: Final = (POST, REPOST)


class KnownRecord(NamedTuple):
    """A post or repost that the lake knows.

    Attributes:
        cid: Its newest version; None where that is not known, as of a repost.
        is_gone: Whether the lake holds it to be gone.
    """

    cid: str | None
    is_gone: bool


@dataclass
class Comparison:
    """Compares; first all records of the repository have to be taken, then it tells what is gone.

    Attributes:
        did: Whose repository.
        known: What the lake knows of it, by URI. What the repository has is taken out.
        record_counts: Records of the repository by collection.
        present_count: Posts and reposts of the repository that the lake has in this version.
    """

    did: str
    known: dict[str, KnownRecord]
    record_counts: Counter[str] = field(default_factory=Counter)
    present_count: int = 0

    @property
    def expected_count(self) -> int:
        """Posts and reposts that the repository has."""
        return sum(self.record_counts[collection] for collection in AUDITED)

    def uri_of(self, record: RepoRecord) -> str:
        """Give the URI of a record."""
        return f"at://{self.did}/{record.collection}/{record.rkey}"

    def missing(self, records: Iterable[RepoRecord]) -> Iterator[RepoRecord]:
        """Take records of the repository.

        Yields:
            Posts and reposts that the lake does not know, holds to be gone, or has in another version.
        """
        for record in records:
            self.record_counts[record.collection] += 1
            if record.collection not in AUDITED:
                continue
            known = self.known.pop(self.uri_of(record), None)
            if known is None or known.is_gone or known.cid not in (None, record.cid):
                yield record
            else:
                self.present_count += 1

    def gone(self, rev: str | None) -> list[str]:
        """Tell which records of the lake the repository has no more.

        A service can give a URI that is none of a record of this repository: of that, the repository says nothing.

        Args:
            rev: The repository's revision. A record whose key is a later TID may have been written after it.
        """
        return [
            uri
            for uri, known in self.known.items()
            if not known.is_gone
            and self._is_own(uri)
            and not (rev is not None and is_later(uri.rpartition("/")[2], rev))
        ]

    def _is_own(self, uri: str) -> bool:
        prefix, _, rkey = uri.rpartition("/")
        return bool(rkey) and prefix in {f"at://{self.did}/{collection}" for collection in AUDITED}


def is_later(rkey: str, rev: str) -> bool:
    """Tell whether a record may have been written after a revision, as its key is a later TID."""
    return len(rkey) == len(rev) and rkey > rev
