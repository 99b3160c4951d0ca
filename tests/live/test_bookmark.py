"""Where a stream is, in virtual time: whatever a service does, nothing is lost unnamed, and nothing is told too early.

The laws are `VirtualReader`'s.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.events.bookmark import NUMBERED_ANEW, Bookmark, Edge, position_after
from pipelines.events.firehose import Firehose
from pipelines.events.jetstream import Jetstream, LegacyJetstream
from pipelines.events.repo_event import Gap, RepoEvent
from tests.live.virtual_stream import NOON, VirtualReader

if TYPE_CHECKING:
    from pipelines.events.bookmark import Numbering

Step: TypeAlias = tuple[Any, ...]
"""A method of `VirtualReader`, and its arguments."""

RECORDS: Final = st.lists(st.integers(0, 3), min_size=1, max_size=4)
READING: Final = st.one_of(
    st.tuples(st.just("happen"), RECORDS),
    st.tuples(st.just("read"), st.integers(1, 8)),
    st.tuples(st.just("take"), st.integers(1, 6)),
    st.tuples(st.just("crash"), st.integers(0, 6)),
    st.sampled_from([("drop",), ("stall",), ("read_until_caught_up",)]),
)
FORGETTING: Final = st.tuples(st.just("forget"), st.integers(1, 5))
LOSING: Final = st.one_of(
    FORGETTING,
    st.sampled_from([("wait", 1), ("wait", 25)]),
)
TOO_LARGE: Final = st.just(("happen_too_large",))
SLOW_CLOCK: Final = st.tuples(st.just("happen"), RECORDS, st.just(-timedelta(hours=1)))
FAST_CLOCK: Final = st.tuples(st.just("happen"), RECORDS, st.just(timedelta(hours=3)))
SLIGHTLY_ANEW: Final = st.tuples(st.just("number_anew"), st.sampled_from([1, 2, 5]))
"""Another machine behind the same name: our number is one of its numbers too."""
WHOLLY_ANEW: Final = st.just(("number_anew", 1_000))

deep: Final = [30, pytest.param(500, marks=pytest.mark.slow)]
"""How many stories are tried."""


def stories(*kinds: st.SearchStrategy[Step]) -> st.SearchStrategy[list[Step]]:
    return st.lists(st.one_of(*kinds), max_size=25)


def live_through(numbering: Numbering, story: list[Step]) -> VirtualReader:
    reader = VirtualReader(numbering)
    for name, *arguments in story:
        getattr(reader, name)(*arguments)
    reader.read_until_caught_up()
    reader.read_all()
    reader.check_nothing_is_lost()
    return reader


def try_stories(numbering: Numbering, count: int, kinds: list[st.SearchStrategy[Step]]) -> None:
    @settings(max_examples=count, deadline=None)
    @given(story=stories(*kinds))
    def hold(story: list[Step]) -> None:
        assert live_through(numbering, story).caught_up_count

    hold()


each_service = pytest.mark.parametrize(
    "numbering", [Jetstream.numbering, LegacyJetstream.numbering, Firehose.numbering], ids=["v2", "v1", "firehose"]
)


@each_service
@pytest.mark.parametrize("count", deep)
def test_what_a_service_loses_is_named(numbering: Numbering, count: int) -> None:
    try_stories(numbering, count, [READING, READING, LOSING, SLOW_CLOCK])


@each_service
@pytest.mark.parametrize("count", deep)
def test_a_clock_that_is_fast_hides_nothing(numbering: Numbering, count: int) -> None:
    try_stories(numbering, count, [READING, READING, LOSING, FAST_CLOCK])


@pytest.mark.parametrize("numbering", [Jetstream.numbering, Firehose.numbering], ids=["v2", "firehose"])
@pytest.mark.parametrize("count", deep)
def test_what_is_too_large_is_named(numbering: Numbering, count: int) -> None:
    """Where numbers are counted: nobody knows by how many microseconds to go on."""
    try_stories(numbering, count, [READING, READING, TOO_LARGE, SLOW_CLOCK])


@pytest.mark.parametrize("distance", [1, 2, 3, 100, 1_000_000])
def test_a_frame_that_is_too_large_is_passed_soon_and_not_by_far(distance: int) -> None:
    """Whoever asks for few events gets numbers that lie far apart; how far, nobody knows."""
    bookmark = Bookmark(Jetstream.numbering, clock=lambda: NOON)
    bookmark.go_on(1_000, NOON, NOON)
    bookmark.connect()
    starts = [1_000]
    for _ in range(distance.bit_length() + 1):
        bookmark.skip_frame("too large")
        assert isinstance(bookmark.start, int)
        starts.append(bookmark.start)
        bookmark.connect()
    passed = [start for start in starts if start > 1_000 + distance]
    assert passed
    assert passed[0] <= 1_000 + 2 * distance


@pytest.mark.parametrize("count", deep)
@pytest.mark.parametrize(
    ("numbering", "troubles"),
    [
        (Jetstream.numbering, [SLIGHTLY_ANEW, WHOLLY_ANEW]),
        (Jetstream.numbering, [WHOLLY_ANEW, FORGETTING]),
        (Jetstream.numbering, [WHOLLY_ANEW, FAST_CLOCK]),
        (Firehose.numbering, [WHOLLY_ANEW, FORGETTING]),
    ],
    ids=["another machine", "v2", "v2 with a fast clock", "firehose"],
)
def test_numbers_that_begin_anew_hide_nothing(
    numbering: Numbering, troubles: list[st.SearchStrategy[Step]], count: int
) -> None:
    try_stories(numbering, count, [READING, READING, *troubles])


READ_SOME: Final[list[Step]] = [("happen", [3, 2, 3, 2]), ("crash", 0), ("read", 3)]
TRAPS: Final[dict[str, tuple[Numbering, list[Step]]]] = {
    "a restart within a commit": (Firehose.numbering, [*READ_SOME, ("crash", 3)]),
    "several at one time": (LegacyJetstream.numbering, [("happen", [1, 1, 1]), ("read", 3), ("crash", 2)]),
    "a stall after news": (Jetstream.numbering, [*READ_SOME, ("stall",)]),
    "a stall after what is known, and news": (Jetstream.numbering, [*READ_SOME, ("drop",), ("read", 2), ("stall",)]),
    "a stall from the beginning": (Jetstream.numbering, [("stall",), ("stall",)]),
    "stall after stall": (Jetstream.numbering, [("happen", [1] * 9), ("crash", 0), *[("read", 2), ("stall",)] * 5]),
    "a cursor that is too old": (Jetstream.numbering, [("happen", [1] * 9), ("read", 3), ("forget", 2)]),
    "a loss that is not told": (LegacyJetstream.numbering, [("wait", 25), ("happen", [1]), ("forget", 1)]),
    "numbers anew, and a loss": (Firehose.numbering, [("happen", [1] * 5), ("number_anew", 1_000), ("forget", 2)]),
    "a drop within the overlap": (
        LegacyJetstream.numbering,
        [("read", 3), ("drop",), ("read", 1), ("wait", 25), ("forget", 1)],
    ),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_a_story_that_is_a_trap(trap: str) -> None:
    assert live_through(*TRAPS[trap]).caught_up_count


def test_what_may_come_out_of_order_is_asked_for_again() -> None:
    reader = VirtualReader(LegacyJetstream.numbering)
    reader.read(2)
    cursor = reader.bookmark.cursor
    assert cursor is not None
    assert reader.bookmark.start == cursor - LegacyJetstream.numbering.overlap
    assert LegacyJetstream.numbering.overlap > 0


@given(times=st.lists(st.one_of(st.none(), st.integers(-3, 400_000)), min_size=1, max_size=4))
def test_a_restart_knows_the_event_that_it_goes_on_from(times: list[int | None]) -> None:
    """Whatever time the service told of it: none, or one that cannot be right."""
    events = [
        RepoEvent("identity", number, event_at=None if hours is None else NOON + timedelta(hours=hours))
        for number, hours in enumerate(times, start=1_000)
    ]
    position = position_after(events, None, NOON)
    read_until, cursor_at = (
        text and datetime.fromisoformat(text) for text in (position["event_at"], position["cursor_at"])
    )
    assert read_until is None or read_until <= NOON + timedelta(minutes=1)
    bookmark = Bookmark(Jetstream.numbering, clock=lambda: NOON)
    bookmark.go_on(position["cursor"], read_until, cursor_at)
    bookmark.connect()
    assert bookmark.receive(events[-1]) == ()


@pytest.mark.parametrize("numbering", [Jetstream.numbering, Firehose.numbering], ids=["v2", "firehose"])
def test_numbers_that_begin_anew_where_no_time_is_known_leave_a_gap(numbering: Numbering) -> None:
    bookmark = Bookmark(numbering, clock=lambda: NOON)
    bookmark.go_on(1_000)
    bookmark.connect()
    first = RepoEvent("commit", 5, event_at=NOON - timedelta(hours=1))
    if numbering.takes_times:
        assert bookmark.receive(first) is None
    else:
        bookmark.begin_anew()  # A relay says it itself.
    assert bookmark.start is Edge.OLDEST
    bookmark.connect()
    handed_over = bookmark.receive(first)
    assert handed_over
    gap, event = handed_over
    assert event is first
    assert isinstance(gap, Gap)
    assert (gap.reason, gap.gap_from, gap.gap_to) == (NUMBERED_ANEW, None, first.event_at)
