"""Where a reader is in a stream of events: what to ask for, what is new, what is missing, and whether that is all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from pipelines.events.repo_event import Gap, RepoEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeGuard

    from pipelines.events.repo_event import Position

CURSOR_TOO_OLD: Final = "the cursor was too old"
NUMBERED_ANEW: Final = "the service numbers its events anew"
OTHER_HOST: Final = "another host, whose numbers say nothing of what was read before"

LARGEST_SKEW: Final = timedelta(minutes=1)
"""By how much a service's clock may be ahead of ours, or of another host's, without having jumped."""

MOST_PROOFS: Final = 3
"""How often in a row a quiet stream is asked anew without telling anything new, before it counts as caught up.

More than once, because the service may have deleted the events that were read, or they may match the filter no more:
then it repeats none of them, and nothing proves that it has told all.
"""


class Unwanted(NamedTuple):
    """An event that nobody asked for. It tells how far the stream is.

    Attributes:
        position: As of a `RepoEvent`.
        event_at: As of a `RepoEvent`.
    """

    position: int
    event_at: datetime | None


class Edge(Enum):
    """An end of what a service has."""

    OLDEST = auto()
    NEWEST = auto()


Start: TypeAlias = int | datetime | Edge
"""The first event that is asked for: by its position, by its time, or by where it stands in what the service has."""


class Standing(Enum):
    """What is known about whether everything that was there at the start has come."""

    REACHED = auto()
    """An event as new as the start has come."""

    PROVEN = auto()
    """All has come, if the stream stays quiet: the service repeats what is known, and tells nothing new."""

    OPEN = auto()
    """If the stream stays quiet, it may have stalled: the service has to be asked anew."""


@dataclass(frozen=True)
class Numbering:
    """What the positions of a service mean.

    Attributes:
        overlap: How far before the cursor is asked for, where several events may have the same position and come in
            any order.
        is_unique: Whether a position has one event only. Then another event there comes from another machine.
        takes_times: Whether a time can be asked for instead of a position.
        retention: How far back a service goes that does not say when a cursor is older; None if it says so.
    """

    overlap: int = 0
    is_unique: bool = False
    takes_times: bool = True
    retention: timedelta | None = None


@dataclass
class _Connection:
    """What one connection has told so far.

    Attributes:
        asked_for: Position that was asked for; None if none was.
        known_upto: Position of the last event that was read before it; None if none was.
        is_known_whole: Whether all events of that position were read. What a restart goes on from may end within a
            commit of several records; what a bookmark has seen, it has seen whole.
        is_fresh: Whether nothing has come over it yet.
        has_known: Whether it repeated an event that had been read before.
        has_news: Whether it told an event that had not.
    """

    asked_for: int | None = None
    known_upto: int | None = None
    is_known_whole: bool = False
    is_fresh: bool = True
    has_known: bool = False
    has_news: bool = False


class Bookmark:
    """Where a reader is in a stream: it decides everything that follows from positions and times.

    It does no I/O. Whoever reads the stream asks for `start`, calls `connect` once a connection is there, and then
    `receive` for each event that comes. What `receive` returns is to be handed over, gaps included. What the service
    says of the cursor is told by `begin_anew`, `begin_with_oldest`, `lose_past` and `skip_frame`; they change what is
    asked for next, and name the gap that the next event ends.

    Threads: a bookmark has no lock and belongs to one thread at a time. Before the reader's thread starts, whoever
    starts it may set where to go on; from then on, the reader's thread alone calls its methods. Whoever takes the
    events on another thread never looks into it: the reader passes on what they need, which is `standing`, an
    immutable value. It must put what `receive` returned where it is taken from *before* it passes on the `standing`
    that follows from it. Else somebody is told that the present is reached, takes what is there, finds nothing, and
    leaves without the last events.

    Args:
        numbering: What the service's positions mean.
        clock: Tells the time, UTC.

    Attributes:
        cursor: Position of the last event that was read; None if none is that means anything to this service.
        present: An event of this time, or newer, tells that the stream has caught up: when it was first connected.
    """

    def __init__(self, numbering: Numbering, *, clock: Callable[[], datetime]) -> None:
        self.cursor: int | None = None
        self.present: datetime | None = None
        self._numbering = numbering
        self._clock = clock
        self._cursor_at: datetime | None = None  # Time of the cursor's event, as the service told it.
        self._read_until: datetime | None = None  # Time of the last event, or of the connection at which all began.
        self._starts_with_oldest = False
        self._skip = 0
        self._gap_reason: str | None = None
        self._connection = _Connection()
        self._has_read = False
        self._has_reached_present = False
        self._proofs_asked = 0

    def go_on(self, cursor: int | None, read_until: datetime | None = None, cursor_at: datetime | None = None) -> None:
        """Go on where an earlier reader was.

        Args:
            cursor: Position of the last event that it read; None if another host numbered it.
            read_until: Time up to which it had read, as far as times can be believed.
            cursor_at: Time of the event at the cursor, as the service told it; None if it told none.
        """
        self.cursor = cursor
        self._read_until, self._cursor_at = read_until, cursor_at
        if cursor is None and not self._numbering.takes_times:
            self._gap_reason = OTHER_HOST

    @property
    def start(self) -> Start:
        """What the next connection has to ask for."""
        if self._starts_with_oldest:
            return Edge.OLDEST
        if self.cursor is not None:
            return self.cursor + self._skip - self._numbering.overlap
        if self._read_until is not None and self._numbering.takes_times:
            # Two hosts see the same event at different times.
            return self._read_until - LARGEST_SKEW
        return Edge.NEWEST

    def connect(self) -> None:
        """Note that a connection was made, and `start` was asked for."""
        asked_for = self.start
        self.present = self.present or self._clock()
        self._connection = _Connection(
            asked_for if isinstance(asked_for, int) else None, self.cursor, is_known_whole=self._has_read
        )
        if asked_for is Edge.NEWEST and self._read_until is None:
            self._read_until = self._clock()

    def receive(self, event: RepoEvent | Unwanted) -> Sequence[RepoEvent | Gap] | None:
        """Take an event that has come over the connection.

        Returns:
            What is to be handed over, in its order: nothing of what is known or unwanted. None if the first event of
            the connection says that the service numbers its events anew: the connection is of no use any more.
        """
        connection, position = self._connection, event.position
        is_first = connection.is_fresh
        if is_first and self._is_numbered_anew(event):
            self.begin_anew()
            return None
        connection.is_fresh = False
        # Not by `self.cursor`: it goes back where a service repeats what came before.
        if connection.known_upto is not None and position <= connection.known_upto:
            connection.has_known = True
        else:
            connection.has_news, self._proofs_asked = True, 0
        if self._is_known_cursor(position) and (is_first or connection.is_known_whole):
            return ()
        handed_over: list[RepoEvent | Gap] = [event] if isinstance(event, RepoEvent) else []
        if is_first:
            gap = self._gap_before(event)
            if gap is not None:
                handed_over.insert(0, gap)
            self._gap_reason, self._skip, self._starts_with_oldest = None, 0, False
        self._has_read = True
        # Back too: where the clock by which Jetstream 1 numbers is set back, its next events have lower numbers.
        self.cursor, self._cursor_at = position, event.event_at
        if is_past(event.event_at, self._clock()):
            self._read_until = event.event_at
            self._has_reached_present = self.present is not None and event.event_at >= self.present
        return handed_over

    def begin_anew(self) -> None:
        """Note that the service numbers its events anew: go on by time, or with its oldest event if that cannot be."""
        self.cursor = None
        if not self._numbering.takes_times or self._read_until is None:
            self._starts_with_oldest, self._gap_reason = True, NUMBERED_ANEW

    def begin_with_oldest(self) -> None:
        """Note that the service refuses the cursor because it is too old."""
        self._starts_with_oldest, self._gap_reason = True, CURSOR_TOO_OLD

    def lose_past(self) -> None:
        """Note that the service does not have all that was asked for, and begins with the oldest that it has."""
        self._gap_reason = self._gap_reason or CURSOR_TOO_OLD

    def skip_frame(self, reason: str) -> None:
        """Note that a frame came that cannot be received. Its number is unknown: ask for one further on each time.

        Args:
            reason: Why it cannot, for people.
        """
        if self.cursor != self._connection.known_upto:
            return  # Events came before it. The next connection goes on right before the frame.
        self._skip = max(1, 2 * self._skip)
        self._gap_reason = reason

    @property
    def standing(self) -> Standing:
        """Whether everything that was there at the start has come over the connections up to now."""
        if self._has_reached_present:
            return Standing.REACHED
        is_proven = self._connection.has_known and not self._connection.has_news
        if self.cursor is None or is_proven or self._proofs_asked >= MOST_PROOFS:
            return Standing.PROVEN
        return Standing.OPEN

    def ask_for_proof(self) -> None:
        """Note that a quiet connection is made anew, to hear whether there is more."""
        self._proofs_asked += 1

    def _is_numbered_anew(self, first: RepoEvent | Unwanted) -> bool:
        """Tell by the first event of a connection whether the numbers are not those that were known."""
        asked_for = self._connection.asked_for
        if asked_for is None:
            return False
        # Another machine may answer to the host's name, and another event may have the number.
        is_another = first.position == self.cursor and self._cursor_at not in (None, first.event_at)
        return first.position < asked_for or (is_another and self._numbering.is_unique)

    def _is_known_cursor(self, position: int) -> bool:
        """Tell whether a position is the cursor, which is asked for again because it may have been read in part."""
        return (
            position == self._connection.asked_for == self.cursor
            and not self._numbering.overlap
            and self._gap_reason is None
        )

    def _gap_before(self, first: RepoEvent | Unwanted) -> Gap | None:
        """Name what lies between the last event and the first one of a connection, if the service has it no more."""
        reason, last = self._gap_reason, self._read_until
        if reason is None and self._is_silently_lost(first):
            reason = CURSOR_TOO_OLD
        if reason is None:
            return None
        # By their numbers, where these are of one count; else by their times.
        is_known = (
            (self.cursor is None or first.position <= self.cursor)
            and last is not None
            and first.event_at is not None
            and first.event_at <= last
        )
        return None if is_known else Gap(last, first.event_at, reason, self.cursor, first.position)

    def _is_silently_lost(self, first: RepoEvent | Unwanted) -> bool:
        """Tell whether a service that takes any cursor may have lost what comes before the first event."""
        retention, last = self._numbering.retention, self._read_until
        return (
            retention is not None
            and last is not None
            and first.event_at is not None
            and self._clock() - last > retention
            and first.event_at > last
        )


def is_past(event_at: datetime | None, now: datetime) -> TypeGuard[datetime]:
    """Tell whether the time of an event that has come can be right: from the future on, nothing could be asked for."""
    return event_at is not None and event_at <= now + LARGEST_SKEW


def position_after(events: Sequence[RepoEvent], before: Position | None, now: datetime) -> Position:
    """Give the position to go on from once events are stored.

    Args:
        events: What was handed over, one at least.
        before: The position before them; None if there was none.
        now: The time.

    Returns:
        `cursor`, the position of the last one; `cursor_at`, its own time, by which it is known again; and `event_at`,
        the newest time that can be believed, by which a reader goes on where numbers say nothing.
    """
    past = (event.event_at.isoformat() for event in reversed(events) if is_past(event.event_at, now))
    last = events[-1]
    return {
        "cursor": last.position,
        "cursor_at": last.event_at and last.event_at.isoformat(),
        "event_at": next(past, before and before["event_at"]),
    }
