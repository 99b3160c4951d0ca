"""The identifiers of the AT Protocol, made from the world's seed instead of from chance.

They have the real syntax (https://atproto.com/specs/did, /tid and /data-model), so that every client accepts them; the
hashes in them are hashes of names. What stands in a repository has the CID of its content: see `blocks.py`.
"""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TID_ALPHABET: Final = "234567abcdefghijklmnopqrstuvwxyz"
_TID_PAIRS: Final = tuple(a + b for a in _TID_ALPHABET for b in _TID_ALPHABET)
_CID_HEADER: Final = b"\x01\x71\x12\x20"  # CIDv1, dag-cbor, sha-256 of 32 bytes
_BLOB_CID_HEADER: Final = b"\x01\x55\x12\x20"  # the same, raw bytes


def microseconds(moment: datetime) -> int:
    """Count the microseconds since 1970, without going through a float."""
    return (moment - _EPOCH) // _MICROSECOND


def did(name: str) -> str:
    """Give the `did:plc` of whoever has this name in this world."""
    return "did:plc:" + base64.b32encode(hashlib.sha256(name.encode()).digest()).decode().lower()[:24]


def cid(name: str) -> str:
    """Give the CID of a record with this name, which no repository of the world has."""
    return "b" + _base32(_CID_HEADER + hashlib.sha256(name.encode()).digest())


def blob_cid(name: str) -> str:
    """Give the CID of the blob (a picture, a video) with this name."""
    return "b" + _base32(_BLOB_CID_HEADER + hashlib.sha256(name.encode()).digest())


def tid(moment: datetime, clock: int = 0) -> str:
    """Give the TID of a moment."""
    return tid_of(microseconds(moment), clock)


def tid_of(moment_us: int, clock: int = 0) -> str:
    """Give the TID of so many microseconds since 1970: 53 bits of them, 10 that tell writers apart, sorted as text."""
    number = (moment_us << 10) | (clock & 1023)
    return _TID_ALPHABET[number >> 60] + "".join(_TID_PAIRS[(number >> shift) & 1023] for shift in range(50, -1, -10))


def _base32(data: bytes) -> str:
    return base64.b32encode(data).decode().lower().rstrip("=")
