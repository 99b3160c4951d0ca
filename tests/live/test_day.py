"""A day of a stream in a few seconds, with all that can happen to one: no event is lost, or the gap is named."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import pytest

from pipelines.events.firehose import Firehose
from pipelines.events.jetstream import Jetstream, LegacyJetstream
from pipelines.sample.streams.events import StreamEvent
from pipelines.sample.streams.firehose import SampleFirehose
from pipelines.sample.streams.jetstream import SampleJetstream
from pipelines.sample.streams.server import StreamFault, StreamStrike
from tests.live.conftest import QUICK, key_of, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.events.stream import Stream
    from pipelines.sample.streams.server import StreamServer
    from tests.live.conftest import LiveLake

EVENTS_AN_HOUR: Final = 400
MOST_BEHIND: Final = EVENTS_AN_HOUR // 20
MIDNIGHT: Final = datetime(2026, 3, 2, tzinfo=UTC)
SKEW: Final = timedelta(seconds=20)
"""By how much the second host's clock is behind the first one's."""


@dataclass
class Host:
    """A server, as it sees what happens.

    Attributes:
        server: What it serves from.
        number: The number that it gives to an event.
        error: By how much its clock is wrong, at which share of the day.
        is_legacy: Whether it goes by time, as version 1 does. Then it never tells an earlier time than before.
    """

    server: StreamServer
    number: Callable[[int], int]
    error: Callable[[float], timedelta]
    is_legacy: bool

    def see(self, event: StreamEvent, share: float) -> None:
        """Put an event into the log. An identity or account event brings the time of its origin along."""
        at = event.event.at + (self.error(share) if event.kind == "commit" else timedelta(0))
        if self.is_legacy and self.server.log:
            at = max(at, self.server.log[-1].event.at + timedelta(microseconds=1))
        self.server.log.append(StreamEvent(self.number(event.seq), replace(event.event, at=at)))

    def is_heard(self, feed: Stream) -> bool:
        """Tell whether somebody is no more than a few minutes behind."""
        if len(self.server.log) <= MOST_BEHIND:
            return True
        event = self.server.log[-MOST_BEHIND]
        cursor = feed.bookmark.cursor
        return cursor is not None and cursor >= (event.time_us if self.is_legacy else event.seq)


class Day:
    """What happens on a day, and what our clock shows meanwhile.

    Attributes:
        hours: How long it is.
        events: What happens, evenly.
        hosts: Who sees it.
    """

    def __init__(self, hours: int, events: list[StreamEvent]) -> None:
        self.hours = hours
        self.hosts: tuple[Host, ...] = ()
        self._length, self._happened = timedelta(hours=hours), 0
        chosen = events[-EVENTS_AN_HOUR * hours :]
        self.events = [
            StreamEvent(number, replace(event.event, at=MIDNIGHT + number / len(chosen) * self._length))
            for number, event in enumerate(chosen)
        ]

    @property
    def share(self) -> float:
        """How much of it is over."""
        return self._happened / len(self.events)

    def now(self) -> datetime:
        """Tell the time by our clock, which is two hours late for a while, then two hours fast."""
        error = 2 if 0.62 < self.share < 0.66 else -2 if 0.35 < self.share < 0.4 else 0
        return MIDNIGHT + self.share * self._length + timedelta(hours=error)

    def pass_until(self, share: float, *, heard: tuple[Host, Stream] | None = None) -> None:
        """Let it pass until so much of it is over; while somebody hears a host, no faster than they can."""
        while self.share < share:
            event = self.events[self._happened]
            for host in self.hosts:
                host.see(event, self.share)
            self._happened += 1
            if heard:
                host, feed = heard
                wait_until(lambda host=host, feed=feed: host.is_heard(feed))  # type: ignore[misc]


@pytest.fixture
def day(request: pytest.FixtureRequest, kind: type[Stream], world_events: list[StreamEvent]) -> Day:
    # Version 1 tells one time of each event; of a handle or a state, it is the origin's that is kept.
    is_legacy = kind is LegacyJetstream
    return Day(request.param, [event for event in world_events if event.kind == "commit" or not is_legacy])


def jumping_clock(share: float) -> timedelta:
    """Be three hours fast for a while, and later an hour late."""
    return timedelta(hours=3 if 0.1 < share < 0.2 else -1 if 0.25 < share < 0.3 else 0)


def strikes(count: int) -> list[StreamStrike]:
    """A connection every few minutes, that ends badly."""
    dice = random.Random(20_260_302)
    faults = [StreamFault.BROKEN_OFF] * 6 + [StreamFault.REFUSED, StreamFault.TOO_SLOW]
    made = [StreamStrike(dice.choice(faults), dice.randrange(1, EVENTS_AN_HOUR // 6)) for _ in range(count)]
    made[count // 2] = StreamStrike(StreamFault.SILENT, 5)
    return made


@pytest.mark.parametrize(
    ("kind", "day"),
    [
        (Jetstream, 1),
        pytest.param(Jetstream, 24, marks=pytest.mark.slow),
        pytest.param(LegacyJetstream, 8, marks=pytest.mark.slow),
        pytest.param(Firehose, 8, marks=pytest.mark.slow),
    ],
    indirect=["day"],
)
def test_a_day_with_disconnections_a_stall_clocks_that_jump_and_a_change_of_hosts_loses_nothing_unnamed(  # type: ignore[no-untyped-def]
    kind: type[Stream], day, live: LiveLake
):
    is_legacy = kind is LegacyJetstream
    serve = SampleFirehose if kind is Firehose else SampleJetstream

    def subscription(host: Host) -> Stream:
        return kind(  # type: ignore[call-arg]
            host.server.url, dids=None, stall_seconds=0.3, limits=QUICK, clock=day.now
        )

    with serve() as one, serve() as other:
        first = Host(one, lambda number: number, jumping_clock, is_legacy)
        second = Host(other, lambda number: 1_000_000 + 3 * number, lambda _: -SKEW, is_legacy)
        day.hosts = (first, second)
        for server in (one, other):
            server.strikes.extend(strikes(8 * day.hours))
        for host, until, missed_until in ((first, 0.55, 0.58), (second, 0.8, 0.9), (second, 0.95, 1.0)):
            with live.running(subscription(host)) as batches:
                wait_until(lambda batches=batches: batches.feed.condition == "connected")  # type: ignore[misc]
                day.pass_until(until, heard=(host, batches.feed))
            day.pass_until(missed_until)
            if until == 0.8 and not is_legacy:
                other.oldest = int(0.85 * len(day.events))  # Version 1 keeps a day.
        other.strikes.clear()
        live.run(subscription(second))
    # Version 1 knows no error frames: the sample's is kept as it came.
    folded = {key for key in live.folded() if key[0] != "unreadable"}
    sent = {key_of(event): event.event.at for event in day.events}
    missing = {key: at for key, at in sent.items() if key not in folded}
    gaps = [(gap["gap_from"] - 2 * SKEW, gap["gap_to"] + 2 * SKEW) for gap in live.gaps()]
    assert folded <= sent.keys()
    assert not [at for at in missing.values() if not any(begin <= at <= end for begin, end in gaps)]
    assert len(gaps) == {Jetstream: 1, LegacyJetstream: 0, Firehose: 2}[kind]
    assert len(missing) < 0.1 * len(sent)
