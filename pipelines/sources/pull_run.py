"""One run of the nightly pull: what its caller hands in, and what it tells whoever watches."""

from __future__ import annotations

import threading
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pipelines.network.appview import RequestStats
from pipelines.network.service_clock import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Future
    from datetime import datetime

    import pyarrow as pa

    from pipelines.network.connect import Network
    from pipelines.sources.feed_walk import FeedWalk, MemberState
    from pipelines.sources.roster import Roster
    from pipelines.sources.turns import Turns

ITEMS_PER_LOAD: Final = 100_000
"""A load that holds so many items is closed and the next one begun, so that a long first night keeps its progress."""


class LoadRoom:
    """How many more items the open load takes, and who waits for the next. Each member is walked once in a run.

    Safe to use from several threads.

    Args:
        items_per_load: A load that holds so many items takes no further member.

    Attributes:
        is_first_load: Whether the open load is the run's first.
    """

    def __init__(self, items_per_load: int = ITEMS_PER_LOAD) -> None:
        self.is_first_load = True
        self._items_per_load = items_per_load
        self._room = items_per_load
        self._admitted: set[str] = set()
        self._waiting: deque[pa.Table] = deque()
        self._lock = threading.Lock()

    def begin_load(self) -> None:
        """Open a new load, which has room for members who wait."""
        with self._lock:
            self.is_first_load, self._room = False, self._items_per_load

    @property
    def is_full(self) -> bool:
        """Whether the open load takes no further member."""
        return self._room <= 0

    def admit(self, did: str) -> bool:
        """Take a member into the open load, unless the load is full or the run has the member from another pack."""
        with self._lock:
            if did in self._admitted or self.is_full:
                return False
            self._admitted.add(did)
            return True

    def defer(self, members: pa.Table) -> None:
        """Let members wait for the next load, as the open one is full."""
        with self._lock:
            # In the first load they come in the order of their turn; later, they go back to where they were.
            (self._waiting.append if self.is_first_load else self._waiting.appendleft)(members)

    @property
    def is_anybody_waiting(self) -> bool:
        """Whether there are members for another load."""
        return bool(self._waiting)

    def waiting(self) -> Iterator[pa.Table]:
        """Give members who wait, some at a time, for as long as the open load takes any.

        So a load goes through its own members and a few more, however many were walked before it and wait behind it.
        """
        while True:
            with self._lock:
                if self.is_full or not self._waiting:
                    return
                members = self._waiting.popleft()
            yield members

    def fill(self, item_count: int) -> None:
        """Note that the open load holds so many more items."""
        with self._lock:
            self._room -= item_count


@dataclass
class PullRun:
    """One run of the source, which may take several loads.

    The caller may hand in the clock, the clients and the room of a load. The run sets the other attributes, for
    whoever watches it.

    Attributes:
        clock: Tells the time of an observation. Where none is handed in, it becomes that of the AppView's client, which
            does not depend on this machine's being right.
        network: The clients; the source makes them from its settings where none are handed in.
        load_room: Decides which members the open load takes.
        roster: The packs and their members, as far as they are known; None until the first resource has read it.
        whole_roster: The roster with those whom the service hides, who are searched for beside the feeds.
        followed: Members who are followed.
        turns: By which rules it chooses those of them whose feeds it asks for.
        asked: Those whom it has chosen.
        states: What was remembered of the members before the run walked any, by DID.
        outcomes: Walked members by outcome.
        notes: One line for each member whose walk `failed` or whose feed is odd.
        doubtful: Members whose feed came to an end that is not believed, and no audit has said yet that nothing lacks.
        item_count: Feed items that were stored.
        new_item_count: Those of them that no earlier run had seen.
    """

    clock: Callable[[], datetime] = utc_now
    network: Network | None = None
    load_room: LoadRoom = field(default_factory=LoadRoom)
    roster: Roster | None = None
    whole_roster: Future[Roster] | None = None
    followed: frozenset[str] = frozenset()
    turns: Turns | None = None
    asked: frozenset[str] = frozenset()
    states: Mapping[str, MemberState] = field(default_factory=dict)
    outcomes: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)
    item_count: int = 0
    new_item_count: int = 0
    _counting: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def ask(self, network: Network) -> None:
        """Take clients, and with them the time of the service that they ask, unless the caller handed in a clock."""
        self.network = network
        if self.clock is utc_now:
            self.clock = network.appview.clock

    def follow(self, roster: Roster) -> Roster:
        """Take a roster, or more of it."""
        with self._counting:
            self.roster, self.followed = roster, frozenset(roster.dids)
            self.notes += roster.notes
        return roster

    @property
    def is_waiting_for_hidden(self) -> bool:
        """Whether everybody who is known was walked, and the search for hidden members goes on."""
        is_searching = self.whole_roster is not None and not self.whole_roster.done()
        return is_searching and self.outcomes.total() == len(self.asked)

    @property
    def stats(self) -> RequestStats:
        """What the client of the AppView has done so far."""
        return self.network.appview.stats if self.network else RequestStats()

    @property
    def requests_per_second(self) -> float:
        """The pace that is never exceeded."""
        return self.network.appview.requests_per_second if self.network else 0.0

    def count(self, walk: FeedWalk) -> None:
        """Count a walk that is over."""
        self.load_room.fill(walk.item_count)
        with self._counting:
            self.outcomes[walk.outcome] += 1
            self.item_count += walk.item_count
            self.new_item_count += walk.new_item_count
            if walk.is_doubtful:
                self.doubtful.add(walk.did)
            if walk.error and walk.outcome in ("ok", "failed"):
                name = self.roster.name_of(walk.did) if self.roster else walk.did
                self.notes.append(f"{name}: {walk.outcome}: {walk.error}")
