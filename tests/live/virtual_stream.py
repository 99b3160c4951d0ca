"""A service of events and its reader in virtual time: days take milliseconds, and nothing is random."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from pipelines.events.bookmark import (
    LARGEST_SKEW,
    MOST_PROOFS,
    Bookmark,
    Edge,
    Numbering,
    Standing,
    Unwanted,
    position_after,
)
from pipelines.events.repo_event import EPOCH, Gap, RepoEvent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.events.bookmark import Start
    from pipelines.events.repo_event import Position

NOON: Final = datetime(2026, 3, 2, 12, tzinfo=UTC)
TOO_LARGE: Final = "an event larger than 32 MiB was skipped"


class Key(NamedTuple):
    """A record that happened: the same whatever number it has."""

    happening: int
    record: int


@dataclass(frozen=True)
class Told:
    """What a service tells of something that happened.

    Attributes:
        happening: What it was.
        at: When, by the service's clock.
        position: Its number.
        records: How many records come under that number; none if nobody asked for it.
        is_too_large: Whether it cannot be received.
        error: By how much the time is wrong.
    """

    happening: int
    at: datetime
    position: int
    records: int
    is_too_large: bool
    error: timedelta

    @property
    def keys(self) -> list[Key]:
        return [Key(self.happening, record) for record in range(self.records)]


class Refusal(Exception):  # noqa: N818 (it is an answer)
    """The service does not take the cursor."""


@dataclass
class VirtualService:
    """A log of what happened, and how a kind of service answers.

    Attributes:
        numbering: What its positions mean.
        log: All that it ever told, oldest first.
        oldest: Index of the oldest that it still has.
        era: How often it has numbered its events anew.
    """

    numbering: Numbering
    log: list[Told] = field(default_factory=list)
    oldest: int = 0
    era: int = 0

    def happen(
        self, happening: int, at: datetime, records: int, *, error: timedelta, is_too_large: bool = False
    ) -> None:
        """Tell something new. A service whose numbers are times never tells an earlier one than before."""
        at += error
        if self.numbering.overlap:
            at = max(at, self.log[-1].at) if self.log else at
            position = (at - EPOCH) // timedelta(microseconds=1)
        else:
            position = self.log[-1].position + 1 if self.log else 1_000_000
        # Only a relay tells several records under one number, or what nobody asked for.
        records = 1 if self.numbering.takes_times else records
        self.log.append(Told(happening, at, position, records, is_too_large, error))

    def number_anew(self, by: int) -> None:
        """Let another machine answer. Its numbers are lower, and its clock is right."""
        self.era += 1
        self.log = [
            replace(told, position=told.position - by, at=told.at - told.error, error=timedelta(0)) for told in self.log
        ]

    def forget(self, kept: int, now: datetime) -> None:
        """Lose what is old, but for the last few. A service that does not say so keeps all of what it promises."""
        oldest = max(0, len(self.log) - kept)
        if self.numbering.retention is not None:
            # Either all of one time or none of it.
            kept_from = min(now - self.numbering.retention - LARGEST_SKEW, self.log[oldest].at)
            oldest = next(n for n, told in enumerate(self.log) if told.at >= kept_from)
        self.oldest = max(self.oldest, oldest)

    def begin(self, start: Start) -> tuple[int, bool]:
        """Answer a connection: the index where it begins, and whether a notice says that something is lost.

        Raises:
            Refusal: The cursor is refused.
        """
        is_silent = self.numbering.retention is not None
        match start:
            case Edge.NEWEST:
                return len(self.log), False
            case Edge.OLDEST:
                return self.oldest, False
            case datetime():
                found = next((n for n, told in enumerate(self.log) if told.at >= start), len(self.log))
            case int():
                found = next((n for n, told in enumerate(self.log) if told.position >= start), len(self.log))
                if self.numbering.is_unique and found < self.oldest:
                    raise Refusal("CursorTooOld")  # Jetstream; where nothing is so new, it begins with what is next.
                if not self.numbering.takes_times and start - 1 > self.log[-1].position:
                    raise Refusal("FutureCursor")
        return max(found, self.oldest), found < self.oldest and not is_silent


class Handed(NamedTuple):
    """What a bookmark handed over.

    Attributes:
        item: An event or a gap.
        key: The record that the event brings.
        era: Under whose numbers it came; None for a gap between two of them.
    """

    item: RepoEvent | Gap
    key: Key | None
    era: int | None


@dataclass
class _Link:
    """A connection.

    Attributes:
        next: Index into the log of what comes next.
        asked_after: The cursor, unless a time was asked for.
        cursor: The cursor, whatever was asked for.
        is_restart: Whether the reader had read nothing before.
        is_silent: Whether nothing has come over it.
        has_news: Whether something came over it that the reader had not seen.
    """

    next: int
    asked_after: int | None
    cursor: int | None
    is_restart: bool
    is_silent: bool = True
    has_news: bool = False


class VirtualReader:
    """Reads a service as `Stream` does, through whatever happens, and holds the bookmark to its laws.

    A run ends with a crash: what was not taken is lost, and the next run goes on from the last position that was.

    The laws, each where it is checked:
    - `_check_repetition`: what is asked for after a position brings nothing up to it, but for the overlap.
    - `_check_gap`: a gap is named where something may be missing, never where all is known or still to be had.
    - `_check_caught_up`: nobody is told to have caught up before all that was there at the start was handed over.
    - `check_nothing_is_lost`: every event comes, or a gap has a place for it.

    Attributes:
        service: What is read.
        taken: What was taken, over all runs.
        caught_up_count: How often it was told to have caught up.
    """

    def __init__(self, numbering: Numbering) -> None:
        self.service = VirtualService(numbering)
        self.taken: list[Handed] = []
        self.caught_up_count = 0
        self._now = NOON
        self._is_clock_fast = False
        self.happen([1, 1])
        first = self.service.log[0]
        told_at = first.at.isoformat()
        self._position: Position = {"cursor": first.position, "cursor_at": told_at, "event_at": told_at}
        self._position_era: int | None = self.service.era
        self._begin_run()

    def _begin_run(self) -> None:
        self._now += timedelta(seconds=1)  # What has happened has happened before.
        self.bookmark = Bookmark(self.service.numbering, clock=lambda: self._now)
        times = (datetime.fromisoformat(self._position[name]) for name in ("event_at", "cursor_at"))
        self.bookmark.go_on(self._position["cursor"], *times)
        self._buffer: list[Handed] = []
        self._link: _Link | None = None
        self._seen: set[int] = set()
        self._silent_count = 0
        self._eras = {self._position_era, self.service.era}
        self._existed = len(self.service.log)

    @property
    def handed(self) -> list[Handed]:
        return [*self.taken, *self._buffer]

    # What happens to the service and the reader.

    def happen(self, records: Sequence[int], error: timedelta = timedelta(0)) -> None:
        """Let something happen every two seconds, of so many records each, by a clock that is wrong.

        Where positions are times, what has no record, or one, happens when the one before it did.
        """
        self._is_clock_fast = self._is_clock_fast or error > timedelta(0)
        for count in records:
            if count > 1 or not self.service.numbering.overlap:
                self._now += timedelta(seconds=2)
            self.service.happen(len(self.service.log), self._now, count, error=error)

    def happen_too_large(self) -> None:
        """Let something happen that cannot be received, and then something else."""
        self._now += timedelta(seconds=2)
        self.service.happen(len(self.service.log), self._now, 1, error=timedelta(0), is_too_large=True)
        self.happen([1])

    def wait(self, hours: int) -> None:
        self._now += timedelta(hours=hours)

    def forget(self, kept: int) -> None:
        self.drop()
        self.service.forget(kept, self._now)

    def number_anew(self, by: int) -> None:
        self.drop()
        self.service.number_anew(by)
        self._eras.add(self.service.era)

    def drop(self) -> None:
        self._link = None

    def crash(self, taken: int) -> None:
        """End the run after a few more were taken."""
        self.take(taken)
        self._begin_run()

    def take(self, count: int) -> None:
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        self.taken += taken
        events = [handed for handed in taken if handed.key]
        if events:
            items = [handed.item for handed in events if isinstance(handed.item, RepoEvent)]
            self._position = position_after(items, self._position, self._now)
            self._position_era = events[-1].era

    # What the reader does.

    def read(self, count: int) -> None:
        """Read some frames, over a new connection if there is none."""
        for _ in range(count):
            link = self._link or self._connect()
            if link is None or link.next >= len(self.service.log):
                return
            told = self.service.log[link.next]
            if told.is_too_large:
                self.bookmark.skip_frame(TOO_LARGE)
                self.drop()
                continue
            link.next += 1
            self._receive(told, link)
            if self.bookmark.standing is Standing.REACHED:
                self._check_caught_up()

    def stall(self) -> None:
        """Let a connection say nothing more after something new, or nothing at all: it looks as if that was all.

        A service that says nothing so often that the bookmark believes it, is believed.
        """
        link = self._link or self._connect()
        if link and link.is_silent and self._silent_count < MOST_PROOFS - 1:
            self._silent_count += 1
            self._is_all_there()
        elif link and link.has_news:
            self._is_all_there()

    def read_until_caught_up(self) -> None:
        for _ in range(500):
            self.read(1)
            if self.bookmark.standing is Standing.REACHED:
                break
            if self._link and self._link.next >= len(self.service.log) and self._is_all_there():
                break
        else:
            raise AssertionError("it never caught up")

    def read_all(self) -> None:
        """Let two more things happen to whoever listens, and read and take everything."""
        self.read(len(self.service.log))
        self.happen([1, 1])
        for _ in range(500):
            self.read(1)
            if self._link and self._link.next >= len(self.service.log):
                break
        else:
            raise AssertionError("it never came to the end")
        self.take(len(self._buffer))

    def _connect(self) -> _Link | None:
        start, cursor = self.bookmark.start, self.bookmark.cursor
        try:
            index, is_past_lost = self.service.begin(start)
        except Refusal as refusal:
            if str(refusal) == "CursorTooOld":
                self.bookmark.begin_with_oldest()
            else:
                self.bookmark.begin_anew()
            return None
        self.bookmark.connect()
        if is_past_lost:
            self.bookmark.lose_past()
        asked_after = None if isinstance(start, datetime) else cursor
        self._link = _Link(index, asked_after, cursor, is_restart=not self._seen)
        return self._link

    def _receive(self, told: Told, link: _Link) -> None:
        events: list[RepoEvent | Unwanted] = [
            RepoEvent("commit", told.position, event_at=told.at) for _ in range(told.records)
        ]
        for record, event in enumerate(events or [Unwanted(told.position, told.at)]):
            received = self.bookmark.receive(event)
            if received is None:
                assert len(self._eras) > 1, "the numbers are those that were known"
                self.drop()
                return
            for item in received:
                if isinstance(item, Gap):
                    # If its two numbers may not be of one count, only its times tell where it is.
                    era = self.service.era if len(self._eras) == 1 else None
                    self._check_gap(item, told, era)
                    self._buffer.append(Handed(item, None, era))
                else:
                    assert item is event
                    self._check_repetition(told, record, link)
                    self._buffer.append(Handed(item, Key(told.happening, record), self.service.era))
        link.is_silent = False
        if link.cursor is None or told.position > link.cursor:
            link.has_news, self._silent_count = True, 0
        self._seen.add(told.happening)

    def _is_all_there(self) -> bool:
        """Ask the bookmark while the connection is quiet; if it does not know, ask the service anew."""
        if self.bookmark.standing is Standing.OPEN:
            self.bookmark.ask_for_proof()
            self.drop()
            return False
        self._check_caught_up()
        return True

    # The laws.

    def _check_repetition(self, told: Told, record: int, link: _Link) -> None:
        if link.asked_after is None or len(self._eras) > 1:
            return
        overlap = self.service.numbering.overlap
        assert told.position >= link.asked_after - overlap
        if not overlap and told.position == link.asked_after:
            # A restart may be within a commit, of which the first record at least is known.
            assert link.is_restart
            assert record > 0

    def _check_gap(self, gap: Gap, first: Told, era: int | None) -> None:
        if self._is_clock_fast:
            return
        known = self._seen | {each.key.happening for each in self.handed if each.key}
        stretch = [told for told in self.service.log if self._lies_in(told, gap, era)]
        # The first event after a gap is new to this run, or something in it is.
        assert first.happening not in self._seen or any(told.happening not in known for told in stretch), gap
        if gap.reason != TOO_LARGE:
            there = [told for told in self.service.log[self.service.oldest :] if told in stretch and told != first]
            assert known.issuperset(told.happening for told in there), gap

    def _check_caught_up(self) -> None:
        self.caught_up_count += 1
        if self._is_clock_fast or len(self._eras) > 1:
            return
        missing = self._missing(self.handed, self.service.log[: self._existed])
        # What cannot be received, and what is skipped with it, is named once something comes after it.
        assert not missing or missing[0].is_too_large

    def check_nothing_is_lost(self) -> None:
        assert not self._missing(self.taken, self.service.log)

    def _missing(self, handed: list[Handed], expected: list[Told]) -> list[Told]:
        came = {each.key for each in handed}
        gaps = [(each.item, each.era) for each in handed if isinstance(each.item, Gap)]
        return [
            told
            for told in expected[1:]  # Whoever stored the first position had the first event.
            if not came.issuperset(told.keys) and not any(self._lies_in(told, gap, era) for gap, era in gaps)
        ]

    def _lies_in(self, told: Told, gap: Gap, era: int | None) -> bool:
        """Tell whether an event lies in a gap: by its number if it is of the same count, or else by its time."""
        if era == self.service.era and gap.position_before is not None and gap.position_after is not None:
            return gap.position_before <= told.position < gap.position_after
        assert gap.gap_from
        assert gap.gap_to
        return gap.gap_from <= told.at <= gap.gap_to
