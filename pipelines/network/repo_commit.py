"""The signed commit at the top of a repository (https://atproto.com/specs/repository#commit-objects)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import libipld
from atproto_core.exceptions import AtProtocolError
from atproto_crypto.verify import verify_signature

from pipelines.network.car import is_link
from pipelines.network.not_proved import Check, NotProved

MAX_COMMIT_BYTES: Final = 16 * 1024

_VERSION: Final = 3
_TID: Final = re.compile(r"[234567a-j][234567a-z]{12}", re.ASCII)
_SIGNATURE_BYTES: Final = 64


@dataclass(frozen=True)
class Commit:
    """What a repository's owner has signed.

    Attributes:
        rev: Revision, a TID that grows with each commit.
        data: CID of the tree.
    """

    rev: str
    data: bytes


def read_commit(block: bytes, did: str, signing_key: str) -> Commit:
    """Read a commit and check its signature.

    Args:
        block: Its content.
        did: Whose repository it must be.
        signing_key: Who must have signed it, as a `did:key`.

    Raises:
        NotProved: It is no commit of this account, or nothing that this key has signed.
    """
    try:
        commit = libipld.decode_dag_cbor(block)
    except (ValueError, RecursionError):
        raise NotProved(Check.COMMIT, "it is no DAG-CBOR") from None
    if not isinstance(commit, dict):
        raise NotProved(Check.COMMIT, "it does not have the fields of one")
    if type(commit.get("version")) is not int or commit["version"] != _VERSION:
        raise NotProved(Check.COMMIT, f"it is of version {commit.get('version')!r}, not {_VERSION}")
    if commit.get("did") != did:
        raise NotProved(Check.COMMIT, f"it is of {commit.get('did')!r}, not of {did}")
    rev, data, signature = commit.get("rev"), commit.get("data"), commit.pop("sig", None)
    if not isinstance(rev, str) or not _TID.fullmatch(rev):
        raise NotProved(Check.COMMIT, f"its rev {rev!r} is no TID")
    if not isinstance(data, bytes) or not is_link(data):
        raise NotProved(Check.COMMIT, "its tree is no link to one")
    if not isinstance(signature, bytes) or len(signature) != _SIGNATURE_BYTES:
        raise NotProved(Check.SIGNATURE, f"it is not one of {_SIGNATURE_BYTES} bytes")
    if not _is_signed(commit, signature, signing_key):
        raise NotProved(
            Check.SIGNATURE, f"the commit was changed after it was signed, or another key than {signing_key} signed it"
        )
    return Commit(rev, data)


def _is_signed(unsigned: dict[str, object], signature: bytes, signing_key: str) -> bool:
    try:
        signed_bytes = libipld.encode_dag_cbor(unsigned)
    except (ValueError, OverflowError, RecursionError):
        raise NotProved(Check.COMMIT, "it is no DAG-CBOR") from None
    try:
        return bool(verify_signature(signing_key, signed_bytes, signature))
    except (AtProtocolError, ValueError) as error:
        raise NotProved(Check.SIGNING_KEY, f"{signing_key} cannot be used: {error}") from None
