"""Events on disk, from their acknowledgement until they are in the lake."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

from pipelines.network.errors import ServiceFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

SPARE_BYTES: Final = 64 * 1024 * 1024
"""What a spool leaves free on its disk: without any room, not even the deletion of an event can be written."""

_READ_AT_ONCE: Final = 64 * 1024 * 1024
_REMOVED_AT_ONCE: Final = 1_000
_FREE_PAGES: Final = ("freelist_count", "page_size")


class SpoolFull(Exception):  # noqa: N818 (it is a state, not a mistake)
    """There is no room for more events, by the spool's limits or on the disk."""


class Spool:
    """Events on disk, from their acknowledgement until they are in the lake. What it has taken survives `kill -9`.

    Safe to use from several threads.

    Args:
        path: Its file; folders are made.
        most_events: How many events it holds.
        most_bytes: How many bytes of events it holds.
        spare_bytes: What it leaves free on the disk.

    Attributes:
        identity: A new one for each new file: the numbers of one spool mean nothing to another.

    Raises:
        ServiceFailed: The file cannot be made or read.
    """

    def __init__(
        self,
        path: Path,
        *,
        most_events: int = 1_000_000,
        most_bytes: int = 2 * 1024**3,
        spare_bytes: int = SPARE_BYTES,
    ) -> None:
        self._path, self._folder = path, path.parent
        self._most_events, self._most_bytes, self._spare_bytes = most_events, most_bytes, spare_bytes
        self._lock = threading.Lock()
        with self._usable():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._open()

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise ServiceFailed(str(self._path), "webhook", "", f"the spool cannot be used: {error}") from error

    def _open(self) -> None:
        self._connection = sqlite3.connect(self._path, check_same_thread=False, isolation_level=None)
        # With a write-ahead log and FULL, a transaction is on the disk when it is committed.
        self._connection.execute("pragma journal_mode = wal")
        self._connection.execute("pragma synchronous = full")
        self._connection.execute("create table if not exists spool (identity text not null)")
        # Numbers are never used again, so that a position never covers a later event.
        self._connection.execute(
            "create table if not exists events"
            " (id integer primary key autoincrement, received_at integer not null, body blob not null)"
        )
        row = self._connection.execute("select identity from spool").fetchone()
        if row is None:
            row = (uuid.uuid4().hex,)
            self._connection.execute("insert into spool values (?)", row)
        self.identity: str = row[0]
        self._count: int
        self._bytes: int
        self._count, self._bytes = self._connection.execute(
            "select count(*), coalesce(sum(length(body)), 0) from events"
        ).fetchone()

    @property
    def pending(self) -> int:
        """Events that are not known to be in the lake."""
        return self._count

    @property
    def pending_bytes(self) -> int:
        """Their bytes."""
        return self._bytes

    def append(self, bodies: Sequence[bytes]) -> None:
        """Put events on the disk, all of them or none.

        Raises:
            SpoolFull: There is no room.
        """
        size = sum(map(len, bodies))
        with self._lock:
            if self._count + len(bodies) > self._most_events or self._bytes + size > self._most_bytes:
                raise SpoolFull("the spool is full")
            received_at = time.time_ns() // 1_000
            try:
                # Events are written twice: into the log, and from there into the table.
                if self._room() < self._spare_bytes + 2 * size:
                    raise SpoolFull("the disk is nearly full")
                self._connection.execute("begin immediate")
                self._connection.executemany(
                    "insert into events (received_at, body) values (?, ?)", [(received_at, body) for body in bodies]
                )
                self._connection.execute("commit")
            except (OSError, sqlite3.Error) as error:
                self._roll_back()
                raise SpoolFull(str(error)) from error
            self._count += len(bodies)
            self._bytes += size

    def _roll_back(self) -> None:
        """Take back what is not committed, as far as SQLite has not: after most errors of a disk it has."""
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("rollback")

    def _room(self) -> int:
        """Bytes that are free on the disk, and within the file where events were removed."""
        pages, page_size = (self._connection.execute(f"pragma {name}").fetchone()[0] for name in _FREE_PAGES)
        return shutil.disk_usage(self._folder).free + int(pages * page_size)

    def read(self, after: int, limit: int) -> list[tuple[int, int, bytes]]:
        """Read events with a number above `after`, in order: number, microseconds of receipt, body.

        Fewer than `limit`, if they are large.

        Raises:
            ServiceFailed: The file cannot be read.
        """
        entries, size = [], 0
        with self._lock, self._usable():
            for entry in self._connection.execute(
                "select id, received_at, body from events where id > ? order by id limit ?", (after, limit)
            ):
                entries.append(entry)
                size += len(entry[2])
                if size >= _READ_AT_ONCE:
                    break
        return entries

    def remove(self, upto: int) -> None:
        """Forget events up to and with a number: they are in the lake.

        On a disk without any room that cannot be written. Then it is left to the next time.
        """
        with suppress(sqlite3.OperationalError):
            # A few at a time: what a deletion writes must fit into the room that was spared.
            while self._remove_some(upto):
                pass

    def _remove_some(self, upto: int) -> bool:
        with self._lock:
            last, count, size = self._connection.execute(
                "select max(id), count(*), sum(length(body))"
                " from (select id, body from events where id <= ? order by id limit ?)",
                (upto, _REMOVED_AT_ONCE),
            ).fetchone()
            if not count:
                return False
            self._connection.execute("delete from events where id <= ?", (last,))
            self._count -= count
            self._bytes -= size
        return True

    def rewrite(self, change: Callable[[bytes], bytes | None]) -> int:
        """Change events that wait, and leave nothing of what they were in the file.

        Args:
            change: Gives the event as it is to be; None if it goes.

        Returns:
            How many were changed or went.

        Raises:
            ServiceFailed: There is no room for it. Nothing is changed, or what was may still be in the file.
        """
        changed = 0
        with self._lock, self._usable():
            self._connection.execute("pragma secure_delete = on")
            self._connection.execute("begin immediate")
            for number, body in self._connection.execute("select id, body from events order by id").fetchall():
                kept = change(body)
                if kept is None:
                    self._connection.execute("delete from events where id = ?", (number,))
                elif kept != body:
                    self._connection.execute("update events set body = ? where id = ?", (kept, number))
                changed += kept != body
            self._connection.execute("commit")
            # Also without a change: what was taken and removed long ago is still in free pages and in the log.
            self._connection.execute("vacuum")
            self._connection.execute("pragma wal_checkpoint(truncate)")
            self._count, self._bytes = self._connection.execute(
                "select count(*), coalesce(sum(length(body)), 0) from events"
            ).fetchone()
        return changed

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()
