"""A repository whose records are proved: they are all that its owner has signed, no more and no fewer.

The signature stands over the hash of the tree, and the tree over the hashes of all records. The records' own blocks
need not all be there: what is there is held against its hash, what is not is told.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, NamedTuple

from pipelines.network import merkle_tree
from pipelines.network.car import CarFile, cid_bytes, cid_text, spooled
from pipelines.network.not_proved import Check, NotProved
from pipelines.network.repo_commit import MAX_COMMIT_BYTES, Commit, read_commit

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

MAX_CAR_BYTES: Final = 2 * 1024**3
MAX_RECORD_BYTES: Final = 2 * 1024**2
"""Twice what a PDS takes as a record."""

_SEGMENT: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_COLLECTION: Final = rf"(?=[^/]{{1,317}}/)(?![0-9]){_SEGMENT}(?:\.{_SEGMENT})+\.[a-zA-Z][a-zA-Z0-9]{{0,62}}"
_RECORD_KEY: Final = r"(?!\.\.?\Z)[a-zA-Z0-9._:~-]{1,512}"
_PATH: Final = re.compile(rf"({_COLLECTION})/({_RECORD_KEY})".encode())
"""https://atproto.com/specs/nsid and https://atproto.com/specs/record-key."""


class RepoRecord(NamedTuple):
    """A record that is in a repository.

    Attributes:
        block: The record as DAG-CBOR, where it was wanted and is there.
        is_missing: It was wanted, and the CAR does not have it.
    """

    collection: str
    rkey: str
    cid: str
    block: bytes | None = None
    is_missing: bool = False


class ProvedRepository:
    """A repository whose signature and tree were checked. Made by `proved`, and read within its `with`.

    Attributes:
        did: Whose it is.
        rev: Revision of the commit.
        commit_cid: CID of the commit.
        record_count: How many records it has.
    """

    def __init__(self, car: CarFile, did: str, commit: Commit) -> None:
        self.did = did
        self.rev = commit.rev
        self.commit_cid = cid_text(car.root)
        self._car = car
        self._tree = commit.data
        # Nothing is told before the walk has come to its end: only then is it sure that nothing is left out.
        self.record_count = sum(1 for _ in self._paths())

    def records(self, with_blocks_of: Collection[str] = ()) -> Iterator[RepoRecord]:
        """Give all records, by collection and record key.

        Args:
            with_blocks_of: Collections whose records' content is wanted.

        Raises:
            NotProved: The block of a wanted record does not have its hash, or is too large.
        """
        wanted = frozenset(with_blocks_of)
        for collection, rkey, cid in self._paths():
            if collection in wanted:
                block = self._car.block(cid, MAX_RECORD_BYTES)
                yield RepoRecord(collection, rkey, cid_text(cid), block, block is None)
            else:
                yield RepoRecord(collection, rkey, cid_text(cid))

    def block(self, record: RepoRecord) -> bytes | None:
        """Give the block of one of its records; None if the CAR does not have it.

        Raises:
            NotProved: The block does not have its hash, or is too large.
        """
        try:
            cid = cid_bytes(record.cid)
        except ValueError:
            return None  # As `CarFile.block` says of all CIDs that no block of a repository has.
        return self._car.block(cid, MAX_RECORD_BYTES)

    def _paths(self) -> Iterator[tuple[str, str, bytes]]:
        for key, cid in merkle_tree.entries(self._tree, self._node):
            path = _PATH.fullmatch(key)
            if path is None:
                raise NotProved(Check.TREE, f"a key is no collection with a record key: {key!r}")
            yield path[1].decode(), path[2].decode(), cid

    def _node(self, cid: bytes) -> bytes:
        node = self._car.block(cid, merkle_tree.MAX_NODE_BYTES)
        if node is None:
            raise NotProved(Check.BLOCK, f"the CAR does not have the tree's node {cid_text(cid)}")
        return node


@contextmanager
def proved(
    chunks: Iterable[bytes], did: str, signing_key: str, *, since_rev: str | None = None, max_bytes: int = MAX_CAR_BYTES
) -> Iterator[ProvedRepository]:
    """Check a repository as `com.atproto.sync.getRepo` serves it.

    Args:
        chunks: The CAR as it arrives. What reading it raises is passed on.
        did: Whose repository it must be.
        signing_key: The key in the account's DID document, as `signing_key_of` gives it.
        since_rev: A revision that was seen before: a commit that is older than it is refused.
        max_bytes: How large the CAR may be.

    Yields:
        The repository. Its CAR stands on disk until the `with` ends.

    Raises:
        NotProved: What was served does not prove which records the repository has.
    """
    with spooled(chunks, max_bytes) as car:
        block = car.block(car.root, MAX_COMMIT_BYTES)
        if block is None:
            raise NotProved(Check.BLOCK, f"the CAR does not have its commit {cid_text(car.root)}")
        commit = read_commit(block, did, signing_key)
        if since_rev is not None and commit.rev < since_rev:
            raise NotProved(Check.REV, f"the commit is an old one: {commit.rev} was made before {since_rev}")
        yield ProvedRepository(car, did, commit)
