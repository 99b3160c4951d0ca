"""The loop of the live job: take what a feed delivers, load it in small batches, and forget nothing on the way."""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from dlt.pipeline.exceptions import PipelineStepFailed

from pipelines.events.repo_event import UNREADABLE
from pipelines.lake.working_folder import finish_pending
from pipelines.network.errors import NetworkError, ServiceUnreachable
from pipelines.sources.repo_events import POST, Batch, repo_events, stored_position

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence

    import dlt
    from dlt.common.pipeline import LoadInfo

    from pipelines.events.repo_event import Feed, Position
    from pipelines.sources.rows import Row

TAKEN_AT_ONCE: Final = 5_000
IDLE_SECONDS: Final = 0.05
LONGEST_BACKOFF: Final = 30.0
PATIENCE_SECONDS: Final = 600.0
"""How long a lake that takes nothing is tried, or a feed that is to catch up and delivers nothing."""

MOST_HASHTAGS: Final = 20_000
"""Hashtags that are counted: new ones never end, and nobody looks at the rare ones."""


@dataclass(frozen=True)
class BatchLimits:
    """When a batch is loaded: so many seconds after its first event, or with so many events, whatever comes first."""

    seconds: float
    events: int


@dataclass
class Languages:
    """Counts of posts by language and of hashtags, for whoever watches."""

    posts: Counter[str] = field(default_factory=Counter)
    hashtags: Counter[str] = field(default_factory=Counter)

    def count(self, rows: Sequence[Row]) -> None:
        """Count the posts that were created."""
        for row in rows:
            if row.get("collection") != POST or row["operation"] != "create":
                continue
            for lang in row.get("langs") or ("none",):
                self.posts[lang] += 1
            for kind, value, *_ in row.get("facets") or ():
                if kind == "tag" and value:
                    self.hashtags[value] += 1

    def add(self, other: Languages) -> None:
        """Add the counts of another."""
        self.posts.update(other.posts)
        self.hashtags.update(other.hashtags)
        if len(self.hashtags) > MOST_HASHTAGS:
            self.hashtags = Counter(dict(self.hashtags.most_common(MOST_HASHTAGS // 2)))


@dataclass
class LiveRun:
    """What a live run did so far, for whoever watches. Written by the loop alone.

    Attributes:
        begun_at: When it began, on `time.monotonic`'s clock.
        event_count: Events taken from the feed.
        loaded_count: Those of them that are in the lake.
        unreadable_count: Those that could not be read; they are kept as they came.
        batch_count: Batches loaded.
        last_event_at: When the newest event happened.
        last_batch: Events, seconds of loading, and when, of the last batch.
        position: Where the feed goes on after the last batch.
        totals: Languages and hashtags since the start.
        gaps: One line for each gap.
        trouble: What keeps the lake from taking a batch; None if nothing does.
    """

    begun_at: float = field(default_factory=time.monotonic)
    event_count: int = 0
    loaded_count: int = 0
    unreadable_count: int = 0
    batch_count: int = 0
    last_event_at: datetime | None = None
    last_batch: tuple[int, float, datetime] | None = None
    position: Position | None = None
    totals: Languages = field(default_factory=Languages)
    gaps: list[str] = field(default_factory=list)
    trouble: str | None = None
    _seconds: deque[tuple[int, int, Languages]] = field(default_factory=deque)

    def count(self, rows: Sequence[Row]) -> None:
        """Count rows that were just added to a batch."""
        if not rows:
            return
        self.event_count += len(rows)
        self.unreadable_count += sum(row["kind"] == UNREADABLE for row in rows)
        languages = Languages()
        languages.count(rows)
        self.totals.add(languages)
        second = int(time.monotonic())
        self._seconds.append((second, len(rows), languages))
        while self._seconds[0][0] < second - 60:
            self._seconds.popleft()

    def events_per_second(self, seconds: int = 10) -> float:
        """Tell the rate of the last few seconds."""
        since = int(time.monotonic()) - seconds
        return sum(count for second, count, _ in list(self._seconds) if second > since) / seconds

    def last_minute(self) -> Languages:
        """Count the posts of the last minute."""
        since, minute = int(time.monotonic()) - 60, Languages()
        for second, _, languages in list(self._seconds):
            if second > since:
                minute.add(languages)
        return minute


@dataclass
class MicroBatches:
    """Loads what a feed delivers.

    Attributes:
        pipeline: Where to.
        feed: The feed, not started yet.
        limits: When a batch is loaded.
        run: What was done so far.
        clock: Tells when something reached us.
        begin_at: From when on a stream is wanted that was never read; from now if None.
        between_batches: Called while no batch is open, e.g. to look whether somebody else is to be followed.
        after_load: Called with what dlt says of each load.
    """

    pipeline: dlt.Pipeline
    feed: Feed
    limits: BatchLimits
    run: LiveRun = field(default_factory=LiveRun)
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    begin_at: datetime | None = None
    between_batches: Callable[[], None] = lambda: None
    after_load: Callable[[LoadInfo], None] = lambda _: None

    def load_until(self, is_over: threading.Event, *, seconds: float | None, until_caught_up: bool) -> None:
        """Load until told to stop; what was taken from the feed by then is loaded too.

        Args:
            is_over: Set by somebody else to end it.
            seconds: End after so long.
            until_caught_up: End when the feed has delivered what was there at the start.

        Raises:
            NetworkError: The feed cannot go on, or does not get to where it was to catch up. What it delivered before
                is loaded.
            PipelineStepFailed: The lake takes nothing.
        """
        position = stored_position(self.pipeline, self.feed.service) or self._first_position()
        has_position = position is not None
        ends_at = None if seconds is None else time.monotonic() + seconds
        batch, opened_at, taken_at = self._new_batch(), 0.0, time.monotonic()
        failure: NetworkError | None = None
        try:
            self.feed.start(position)
            while True:
                # Asked before taking: what arrives between the two questions must not be left behind.
                is_caught_up = until_caught_up and self.feed.is_caught_up
                try:
                    has_taken = self._take(batch)
                except NetworkError as error:
                    has_taken, failure = False, error
                now = time.monotonic()
                if has_taken and not opened_at:
                    opened_at = now
                is_ending = (
                    failure is not None
                    or is_over.is_set()
                    or (ends_at is not None and now >= ends_at)
                    or (is_caught_up and not has_taken)
                )
                # Before the first position is stored, a crash would lose what came: the first batch does not wait.
                is_full = batch.event_count >= self.limits.events or not has_position
                if opened_at and (is_full or is_ending or now - opened_at >= self.limits.seconds):
                    self._load(batch, is_over)
                    batch, opened_at, has_position = self._new_batch(), 0.0, True
                if failure is not None:
                    raise failure
                if is_ending:
                    return
                if has_taken:
                    taken_at = now
                elif until_caught_up and now - taken_at > PATIENCE_SECONDS:
                    reason = f"nothing came for {PATIENCE_SECONDS / 60:.0f} minutes: {self.feed.condition}"
                    raise ServiceUnreachable(self.feed.service, self.feed.name, "", reason)
                else:
                    is_over.wait(IDLE_SECONDS)
                if not opened_at:
                    self.between_batches()
        finally:
            self.feed.stop()

    def _new_batch(self) -> Batch:
        return Batch(self.feed.name, self.feed.service, self.clock())

    def _take(self, batch: Batch) -> bool:
        delivery = self.feed.take(min(TAKEN_AT_ONCE, self.limits.events - batch.event_count))
        if not batch.event_count:
            # Not before: only an answer tells that this machine's clock is wrong.
            batch.observed_at = self.clock()
        self.run.count(batch.add(delivery))
        for event in reversed(delivery.events):
            if event.event_at:
                self.run.last_event_at = event.event_at
                break
        self.run.gaps += [f"{batch.service}: {gap}" for gap in delivery.gaps]
        return bool(delivery.events or delivery.gaps)

    def _first_position(self) -> Position | None:
        """Take the time up to which another host of the same feed was read, or everything was pulled."""
        positions = self.pipeline.state.get("sources", {}).get("repo_events", {}).get("positions", {})
        times = [position["event_at"] for position in positions.values() if position.get("event_at")]
        if not times and self.begin_at:
            times = [self.begin_at.isoformat()]
        return {"cursor": None, "event_at": max(times)} if times else None

    def _load(self, batch: Batch, is_over: threading.Event) -> None:
        begun, backoff = time.monotonic(), 1.0
        is_packed = False
        while True:
            try:
                if is_packed:
                    finish_pending(self.pipeline)
                    info = None
                else:
                    info = self.pipeline.run(repo_events(batch))
                break
            except PipelineStepFailed as error:
                # A batch that reached the working folder as a whole is loaded from there, with its position.
                is_packed = self.pipeline.has_pending_data
                self.run.trouble = str(error.exception)
                if is_over.is_set() or time.monotonic() - begun > PATIENCE_SECONDS:
                    raise
                is_over.wait(backoff)
                backoff = min(LONGEST_BACKOFF, 2 * backoff)
        self.run.trouble = None
        if batch.position is not None:
            self.feed.commit(batch.position)
            self.run.position = batch.position
        self.run.batch_count += 1
        self.run.loaded_count += batch.event_count
        self.run.last_batch = (batch.event_count, time.monotonic() - begun, self.clock())
        if info is not None:
            self.after_load(info)
