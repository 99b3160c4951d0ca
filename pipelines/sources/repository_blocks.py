"""Records as a repository's own blocks have them, which are DAG-CBOR."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import libipld
import msgspec

from pipelines.events.firehose import to_json
from pipelines.network.not_proved import Check, NotProved
from pipelines.network.repo_proof import proved
from pipelines.sources.rows import repo_record_row

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from pipelines.network.repo_proof import RepoRecord
    from pipelines.network.repositories import Repositories
    from pipelines.sources.rows import Row

_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class ProvedRecords:
    """Which of some records a repository has. Whatever is not among them is gone, or was written later.

    Attributes:
        rev: Revision of the repository.
        records: Their rows by URI; None where a record is there, and its block is missing or cannot be read.
    """

    rev: str
    records: dict[str, Row | None]


def proved_records(
    repositories: Repositories, did: str, uris: AbstractSet[str], observed_at: datetime
) -> ProvedRecords:
    """Read a whole repository, and find records in it.

    Args:
        repositories: Whom to ask.
        did: Whose repository.
        uris: at:// URIs of the records.
        observed_at: The time of asking.

    Raises:
        NotProved: What was served does not prove which records the repository has.
    """
    latest, key = repositories.latest_commit(did), repositories.signing_key(did)
    if key is None:
        raise NotProved(Check.SIGNING_KEY, "the DID document names none that repositories are signed with")
    collections = {uri.split("/")[3] for uri in uris}
    found: dict[str, Row | None] = {}
    with (
        closing(repositories.repository(did)) as chunks,
        proved(chunks, did, key, since_rev=latest.rev) as repository,
    ):
        for record in repository.records(with_blocks_of=collections):
            uri = f"at://{did}/{record.collection}/{record.rkey}"
            if uri in uris:
                found[uri] = _row(uri, record, observed_at)
        return ProvedRecords(repository.rev, found)


def _row(uri: str, record: RepoRecord, observed_at: datetime) -> Row | None:
    if record.block is None:
        return None
    try:
        return block_row(uri, record.cid, record.block, observed_at)
    except ValueError:
        return None


def block_row(uri: str, cid: str, block: bytes, observed_at: datetime) -> Row:
    """Read a record from its block, as if `com.atproto.repo.getRecord` had given it.

    Args:
        uri: Its at:// URI.
        cid: The block's CID.
        block: What the repository has.
        observed_at: When it was seen.

    Raises:
        ValueError: The block cannot be read.
    """
    raw = _encode({"uri": uri, "cid": cid, "value": msgspec.Raw(block_json(block))})
    return repo_record_row(msgspec.Raw(raw), observed_at)


def block_json(block: bytes) -> bytes:
    """Write a record's block as JSON.

    Raises:
        ValueError: The block cannot be read.
    """
    try:
        return _encode(to_json(libipld.decode_dag_cbor(block)))
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f"the repository has a block that cannot be read: {error}") from error
