"""CAR files (https://ipld.io/specs/transport/car/carv1): blocks in any order, each named by the hash of its bytes."""

from __future__ import annotations

import errno
import hashlib
import os
import sqlite3
import tempfile
from contextlib import closing, contextmanager
from typing import IO, TYPE_CHECKING, Final

import libipld

from pipelines.network.not_proved import Check, NotProved

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LINK_PREFIX: Final = b"\x01\x71\x12\x20"
"""CIDv1, DAG-CBOR, SHA-256 of 32 bytes: what commits, nodes and records are addressed with."""
_LINK_BYTES: Final = 36
_CID_V0_PREFIX: Final = b"\x12\x20"
_CID_V0_BYTES: Final = 34
_SHORTEST_CID: Final = 4
_LONGEST_DIGEST: Final = 128
_LONGEST_VARINT: Final = 9
_LONGEST_HEADER: Final = 64 * 1024
_BLOCK_START_BYTES: Final = _LONGEST_VARINT + _LINK_BYTES
_ERRNO_OF_SQLITE: Final = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_IOERR: errno.ENOSPC}
_INDEX_CACHE_KIB: Final = 16 * 1024


class CarFile:
    """A CAR on disk and an index of its blocks, both without a name: they end with the process, however it ends.

    Args:
        file: The CAR.
        index: An empty database.

    Attributes:
        root: CID of the first root: of a repository, its commit.

    Raises:
        NotProved: The file is no CAR, is cut short, or holds something else between its blocks or behind them.
    """

    def __init__(self, file: IO[bytes], index: sqlite3.Connection) -> None:
        self._file = file
        self._index = index
        self._size = file.seek(0, 2)
        self.root, first_block = self._read_header()
        index.execute(f"PRAGMA cache_size = -{_INDEX_CACHE_KIB}")
        index.execute("PRAGMA journal_mode = OFF")
        # Of a block that is there twice, the first one counts.
        index.execute("CREATE TABLE blocks (digest BLOB PRIMARY KEY, at INTEGER, length INTEGER) WITHOUT ROWID")
        index.executemany("INSERT OR IGNORE INTO blocks VALUES (?, ?, ?)", self._blocks(first_block))

    def block(self, cid: bytes, max_bytes: int) -> bytes | None:
        """Read a block and hold it against its CID.

        Args:
            cid: A link, as the bytes of the CID.
            max_bytes: How large the block may be.

        Returns:
            Its bytes. None if the file has no such block, or its CID is none that a repository's blocks have.

        Raises:
            NotProved: The block is too large, or it does not have the hash that its CID says.
        """
        if not is_link(cid):
            return None
        found = self._index.execute("SELECT at, length FROM blocks WHERE digest = ?", (cid[4:],)).fetchone()
        if found is None:
            return None
        at, length = found
        if length > max_bytes:
            raise NotProved(Check.SIZE, f"the block {cid_text(cid)} has {length:,} bytes, more than {max_bytes:,}")
        self._file.seek(at)
        block = self._file.read(length)
        if hashlib.sha256(block).digest() != cid[4:]:
            raise NotProved(
                Check.BLOCK, f"something in {cid_text(cid)} was removed, added or changed: it does not have its hash"
            )
        return block

    def _read_header(self) -> tuple[bytes, int]:
        self._file.seek(0)
        start = self._file.read(_LONGEST_VARINT)
        if not start:
            raise NotProved(Check.CAR, "the file is empty")
        no_car = NotProved(Check.CAR, f"this is no CAR: it begins with {start!r}")
        try:
            length, header_at = _varint(start, 0)
        except (IndexError, ValueError):
            raise no_car from None
        if length > _LONGEST_HEADER:
            raise no_car
        self._file.seek(header_at)
        header = self._file.read(length)
        try:
            match libipld.decode_dag_cbor(header):
                case {"version": 1, "roots": [bytes() as root, *_]} if is_link(root):
                    return root, header_at + length
        except (ValueError, RecursionError):
            pass
        if len(header) < length and header.startswith(b"\xa2"):
            raise NotProved(Check.CAR, f"the file is cut short in its header, after {self._size:,} bytes")
        raise no_car

    def _blocks(self, at: int) -> Iterator[tuple[bytes, int, int]]:
        file, size = self._file, self._size
        while at < size:
            file.seek(at)
            start = file.read(_BLOCK_START_BYTES)
            try:
                length, cid_at = _varint(start, 0)
                if length < _SHORTEST_CID:
                    raise ValueError
                block_at = _end_of_cid(start, cid_at)
                if block_at > cid_at + length:
                    raise ValueError
            except IndexError:
                raise self._cut_short(at) from None
            except ValueError:
                raise NotProved(Check.CAR, f"what begins at byte {at:,} of {size:,} is no block") from None
            end = at + cid_at + length
            if end > size:
                raise self._cut_short(at)
            if start.startswith(_LINK_PREFIX, cid_at):
                yield start[cid_at + 4 : block_at], at + block_at, cid_at + length - block_at
            at = end

    def _cut_short(self, at: int) -> NotProved:
        return NotProved(Check.CAR, f"the file is cut short: it ends in the block that begins at byte {at:,}")


@contextmanager
def spooled(chunks: Iterable[bytes], max_bytes: int) -> Iterator[CarFile]:
    """Keep a CAR on disk while it is read. Memory holds a chunk and 16 MiB of the index, whatever the CAR's size.

    The disk must have room for the CAR and about 60 bytes a block, where `TMPDIR` says.

    Args:
        chunks: The CAR as it arrives. What reading it raises is passed on.
        max_bytes: How large it may be.

    Raises:
        NotProved: It is larger, or no whole CAR.
        OSError: The disk has no room for it.
    """
    with _named_disk(), tempfile.TemporaryFile() as file, closing(sqlite3.connect("")) as index:
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size > max_bytes:
                raise NotProved(Check.SIZE, f"the CAR has more than {max_bytes:,} bytes")
            file.write(chunk)
        yield CarFile(file, index)


@contextmanager
def _named_disk() -> Iterator[None]:
    """Name the disk that has no room, which neither the system nor SQLite does."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        number = error.errno if isinstance(error, OSError) else _ERRNO_OF_SQLITE.get(error.sqlite_errorcode & 0xFF)
        if number not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(number, os.strerror(number), tempfile.gettempdir()) from error


def is_link(cid: bytes) -> bool:
    """Tell whether a CID is of the form that commits, nodes and records have: version 1, DAG-CBOR, SHA-256."""
    return len(cid) == _LINK_BYTES and cid.startswith(_LINK_PREFIX)


def cid_text(cid: bytes) -> str:
    """Write a CID as a repository's API does."""
    return libipld.encode_cid(cid)


def cid_bytes(text: str) -> bytes:
    """Read a CID of version 1 that `cid_text` has written.

    Raises:
        ValueError: It is none.
    """
    return libipld.decode_multibase(text)[1]


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read an unsigned LEB128 number.

    Returns:
        The number, and where it ends.

    Raises:
        IndexError: The data ends within it.
        ValueError: It has more than nine bytes, or more than it needs.
    """
    value = 0
    for index in range(_LONGEST_VARINT):
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if byte == 0 and index > 0:
                break
            return value, at + index + 1
    raise ValueError


def _end_of_cid(data: bytes, at: int) -> int:
    """Tell where a CID ends, which may be behind the data.

    Raises:
        IndexError: The data ends before that can be told.
        ValueError: It is no CID.
    """
    if data.startswith(_LINK_PREFIX, at):
        return at + _LINK_BYTES
    if data.startswith(_CID_V0_PREFIX, at):
        return at + _CID_V0_BYTES
    version, at = _varint(data, at)
    if version != 1:
        raise ValueError
    _codec, at = _varint(data, at)
    _hash, at = _varint(data, at)
    length, at = _varint(data, at)
    if length > _LONGEST_DIGEST:
        raise ValueError
    return at + length
