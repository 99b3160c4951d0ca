"""Events of repositories: what every feed of the live job delivers, and what a feed is.

A repository event says that an account created, updated or deleted a record, changed its handle, or changed its status
(https://atproto.com/specs/sync). Feeds deliver at least once; whoever keeps events folds them by key.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

Position: TypeAlias = dict[str, Any]
"""Where a feed goes on after a restart, as JSON; what it holds is the feed's own affair."""

COMMIT: Final = "commit"
IDENTITY: Final = "identity"
ACCOUNT: Final = "account"
SYNC: Final = "sync"
UNREADABLE: Final = "unreadable"

LONGEST_UNREADABLE: Final = 100_000
"""Bytes that are kept of something that is no event."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TID_ALPHABET: Final = {char: number for number, char in enumerate("234567abcdefghijklmnopqrstuvwxyz")}


class RepoEvent(msgspec.Struct, gc=False):
    """One event of a repository.

    Attributes:
        kind: `commit`, `identity`, `account`, `sync`, or `unreadable` for what came as an event and cannot be read.
        position: Its number in its feed: sequence, microseconds or offset.
        did: Whose repository; None only for what is unreadable.
        event_at: When it happened, as far as the feed says: when the network saw it, else the time of its revision.
        rev: Revision of the repository, a TID that grows with each commit.
        operation: Of a commit: `create`, `update` or `delete`.
        collection: Of a commit: NSID of the record's type.
        rkey: Of a commit: the record's key.
        cid: Of a commit: the record's version; None for a delete.
        record: Of a commit: the record's JSON; None for a delete.
        handle: Of an identity event, where the feed knows it.
        is_active: Of an account event: whether the account may be shown.
        status: Of an account event that is not active: `takendown`, `suspended`, `deleted`, `deactivated`...
        raw: JSON of an event that is no commit, or whatever came instead of one.
        issue: What is wrong with it, for people; None if nothing is.
    """

    kind: str
    position: int
    did: str | None = None
    event_at: datetime | None = None
    rev: str | None = None
    operation: str | None = None
    collection: str | None = None
    rkey: str | None = None
    cid: str | None = None
    record: bytes | None = None
    handle: str | None = None
    is_active: bool | None = None
    status: str | None = None
    raw: bytes | None = None
    issue: str | None = None


@dataclass(frozen=True)
class Gap:
    """A stretch of time that a feed will not deliver any more. Only a pull, or another feed, can fill it.

    Attributes:
        gap_from: Time of the last event before it.
        gap_to: Time of the first event after it.
        reason: What happened, for people.
        position_before: Position of the last event before it.
        position_after: Position of the first event after it.
    """

    gap_from: datetime | None
    gap_to: datetime | None
    reason: str
    position_before: int | None
    position_after: int | None

    def __str__(self) -> str:
        times = f" from {self.gap_from} to {self.gap_to}" if self.gap_from or self.gap_to else ""
        return f"events{times} are missing: {self.reason}"


@dataclass(frozen=True)
class Delivery:
    """What a feed hands over at once.

    Attributes:
        events: In the order of the feed.
        gaps: Those found on the way.
        position: Where to go on once these are stored; None if that has not changed.
    """

    events: Sequence[RepoEvent]
    gaps: Sequence[Gap] = ()
    position: Position | None = None


class Feed(Protocol):
    """A source of repository events.

    It never forgets what it delivered before `commit` was called for it: after a crash it delivers that again.

    Attributes:
        name: `jetstream`, `firehose`, `webhook` or `kafka`.
        service: Who serves it: positions are kept under this name, since they mean nothing elsewhere.
    """

    name: str
    service: str

    def start(self, position: Position | None) -> None:
        """Begin after a position, or now (at the oldest event, where the feed keeps a log of its own) if None."""

    def take(self, limit: int) -> Delivery:
        """Hand over up to `limit` events that have arrived; none if none has.

        Raises:
            NetworkError: The feed cannot go on.
        """

    def commit(self, position: Position) -> None:
        """Be told that everything up to a position is in the lake."""

    @property
    def is_caught_up(self) -> bool:
        """Whether everything that was there when the feed started has been handed over."""

    @property
    def condition(self) -> str:
        """How it goes, in a few words."""

    def stop(self) -> None:
        """End it. What was not handed over is delivered again after the next start."""


def unreadable(raw: bytes, position: int, reason: object) -> RepoEvent:
    """Keep what came as an event and is none, with what is wrong with it."""
    return RepoEvent(UNREADABLE, position, raw=raw[:LONGEST_UNREADABLE], issue=f"$: {reason}")


def time_of_rev(rev: str | None) -> datetime | None:
    """Tell when a commit was made, by its revision (a TID: https://atproto.com/specs/tid).

    The account's server chose it; it is what there is where a feed gives no time of its own.
    """
    if rev is None or len(rev) != 13:
        return None
    number = 0
    for char in rev:
        digit = _TID_ALPHABET.get(char)
        if digit is None:
            return None
        number = number << 5 | digit
    try:
        return EPOCH + timedelta(microseconds=number >> 10)
    except OverflowError:
        return None
