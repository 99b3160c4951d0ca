"""Paces the requests to a service, by a rate of our own and by the rate limits that its responses report."""

from __future__ import annotations

import math
import re
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from pipelines.network.headers import date_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_WINDOW: Final = 900.0
"""Seconds. The pacer takes a longer window to end after this time, so that an answer tells the run of a longer wait."""

LARGEST_LIMIT: Final = 10**9
"""Requests a window. What a service says beyond it is passed over, like all numbers that cannot be meant."""

LATEST_RESET: Final = 1e11
"""Epoch seconds, in the year 5138: what is larger is passed over."""

LONGEST_POLICY: Final = 100
MOST_WINDOWS: Final = 8
"""Windows of one service that are kept in mind. Each answer may name one, by a text of the service's own."""

PACE: Final = 0.99
"""Share of the allowed rate that is used. The rest absorbs the lateness of threads, which could otherwise put one
request too many into a second."""

_POLICY: Final = re.compile(r"\s*\d+\s*;\s*w=(\d+(?:\.\d+)?)\s*")


class NotDue(Exception):  # noqa: N818 (it is an answer)
    """The service holds a request for longer than there is patience."""


class Wait(NamedTuple):
    """How long a request had to wait for its turn.

    Attributes:
        seconds: All in all.
        by_service: Those of them that the service made it wait; the others are our own pace.
    """

    seconds: float
    by_service: float


def _lock_timeout(seconds: float) -> float:
    """Write a time to wait as locks take it, for whom -1 is without end."""
    return -1 if seconds > threading.TIMEOUT_MAX else max(0.0, seconds)


@dataclass
class _Window:
    """What the service said of one of its rate limits, which count requests in windows of fixed length.

    Attributes:
        limit: Requests that a window allows.
        length: Its length in seconds.
        reset: End of the window as the service wrote it (epoch seconds): tells one window from the next.
        remaining: Requests that were left when it answered.
        reset_at: The latest moment, on our clock, at which the window can end.
        is_expected: Whether the pacer assumes this window, as the one after the last known, until an answer tells.
    """

    limit: int
    length: float
    reset: float
    remaining: int
    reset_at: float
    is_expected: bool = False

    def begin_anew(self, now: float) -> None:
        """Assume that the next window is like this one, until an answer tells."""
        self.remaining = self.limit
        self.reset_at = now + self.length
        self.is_expected = True


class Pacer:
    """The pace of all workers that ask one service.

    Two rules decide when the next request may be sent. By our own, requests are `1 / requests_per_second` apart, so
    that no stretch of time holds more than that rate allows. By the service's, the rest of its window
    (`RateLimit-Remaining`, less the requests under way) is spread evenly over the time until `RateLimit-Reset`, so that
    the window's allowance lasts to its end. The first request goes alone, as only its answer tells what an earlier run
    left of the allowance.

    Each `acquire` is followed by one `observe` (an answer came) or one `lost` (none did).

    The headers are those of https://github.com/bluesky-social/atproto, `packages/xrpc-server/src/rate-limiter-http.ts`:
    `RateLimit-Reset` is in epoch seconds on the service's clock, rounded down; `RateLimit-Policy` is like `3000;w=300`.

    Args:
        requests_per_second: Never above this.
        clock: Monotonic seconds.
        epoch_clock: Epoch seconds; asked only where a response has no `Date`.
        wait: Waits on a condition for some seconds.
    """

    def __init__(
        self,
        requests_per_second: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        epoch_clock: Callable[[], float] = time.time,
        wait: Callable[[threading.Condition, float], object] = threading.Condition.wait,
    ) -> None:
        if not (requests_per_second > 0 and math.isfinite(requests_per_second)):
            raise ValueError(f"requests_per_second must be above 0, not {requests_per_second}")
        self.requests_per_second = requests_per_second
        self._interval = 1 / (requests_per_second * PACE)
        self._clock = clock
        self._epoch_clock = epoch_clock
        self._wait = wait
        self._turn = threading.Lock()
        self._changed = threading.Condition()
        self._last_slot = -math.inf
        self._last_sent = -math.inf
        self._not_before = -math.inf
        self._in_flight = 0
        self._is_first_over = False
        self._held_seconds = 0.0
        self._held_from = math.inf
        self._windows: dict[str, _Window] = {}

    def acquire(self, patience: float = math.inf) -> Wait:
        """Wait until one request may be sent.

        Args:
            patience: Seconds for which the service may make it wait. Our own pace takes as long as it takes.

        Raises:
            NotDue: The service makes it wait for longer.
        """
        begin, held_before = self._clock(), self._held()
        while not self._turn.acquire(timeout=_lock_timeout(patience - (self._held() - held_before))):
            if self._held() - held_before >= patience:
                raise NotDue
        try:
            with self._changed:
                slot = self._clock()
                while (due := self._due_at()) > (now := self._clock()):
                    ours = max(now, self._own_due())
                    latest = ours + patience - (self._held() - held_before)
                    # An answer that is under way may tell of an earlier moment.
                    if due > latest and (latest <= now or not self._in_flight):
                        raise NotDue
                    slot = due
                    self._held_from = ours
                    self._wait(self._changed, min(due, latest) - now)
                    self._held_seconds, self._held_from = self._held(), math.inf
                # The next slot counts from this slot, so that the lateness of threads does not add up.
                self._last_slot = min(slot, self._clock())
                self._last_sent = self._clock()
                self._in_flight += 1
                return Wait(self._last_sent - begin, self._held() - held_before)
        finally:
            self._turn.release()

    def _held(self) -> float:
        """Tell for how long the service's rules, and not ours, have held requests back so far."""
        with self._changed:
            return self._held_seconds + max(0.0, self._clock() - self._held_from)

    def observe(self, headers: Mapping[str, str]) -> None:
        """Read the rate limits that a response reports.

        Args:
            headers: The response's headers; names in any case if the mapping ignores case, else as in the class's
                description.
        """
        with self._changed:
            self._read(headers)
            self._end_one()

    def lost(self) -> None:
        """Note that a request got no answer. The service may have counted it."""
        with self._changed:
            for window in self._windows.values():
                window.remaining -= 1
            self._end_one()

    def _end_one(self) -> None:
        self._in_flight = max(0, self._in_flight - 1)
        self._is_first_over = True
        self._changed.notify_all()

    def pause(self, seconds: float) -> None:
        """Make all workers wait for at least so many seconds."""
        with self._changed:
            self._not_before = max(self._not_before, self._clock() + seconds)
            self._changed.notify_all()

    def penalize(self, seconds: float) -> None:
        """Make all workers wait as long as the service asks (`Retry-After`), whatever it reported of its windows."""
        with self._changed:
            self.pause(seconds)
            for window in self._windows.values():
                window.reset_at = self._not_before

    def _own_due(self) -> float:
        return self._last_slot + self._interval

    def _due_at(self) -> float:
        now = self._clock()
        due = max(self._not_before, self._own_due())
        if not self._is_first_over and self._in_flight:
            due = max(due, now + LONGEST_WINDOW)
        for window in self._windows.values():
            if window.reset_at <= now:
                window.begin_anew(now)
            left = window.remaining - self._in_flight
            if left <= 0:
                due = max(due, window.reset_at)
            elif self._last_sent > window.reset_at - window.length:
                due = max(due, self._last_sent + (window.reset_at - self._last_sent) / (left + 1))
        return due

    def _read(self, headers: Mapping[str, str]) -> None:
        try:
            limit = int(headers["RateLimit-Limit"])
            remaining = min(int(headers["RateLimit-Remaining"]), limit)
            reset = float(headers["RateLimit-Reset"])
        except (KeyError, ValueError):
            return
        # A service that answers allows something: with a limit of 0, no request would ever be due.
        if not 0 < limit <= LARGEST_LIMIT or remaining < 0 or not 0 <= reset <= LATEST_RESET:
            return
        policy = headers.get("RateLimit-Policy", f"{limit}")[:LONGEST_POLICY]
        given_length = _POLICY.fullmatch(policy)
        length = min(float(given_length[1]) if given_length else math.inf, LONGEST_WINDOW)
        # Reset and Date are rounded down to seconds, so this is the latest that the end can be. Later answers in the
        # same window bring it closer, and so does the first one after it began.
        now = self._clock()
        rounding = 1.0 if reset.is_integer() else 0.0
        reset_at = now + min(length, reset + rounding - self._epoch_of(headers))
        if reset_at <= now:
            return
        known = self._windows.get(policy)
        # Rounding can move the end of one and the same window by a second.
        if (
            known is None
            or reset > known.reset + 1
            or (reset > known.reset and (known.is_expected or remaining > known.remaining))
        ):
            if known is None and len(self._windows) == MOST_WINDOWS:
                del self._windows[min(self._windows, key=lambda name: self._windows[name].reset_at)]
            self._windows[policy] = _Window(limit, length, reset, remaining, reset_at)
        elif reset >= known.reset - 1:
            known.remaining = min(known.remaining, remaining)
            known.reset_at = min(known.reset_at, reset_at)

    def _epoch_of(self, headers: Mapping[str, str]) -> float:
        """Tell the service's own time, rounded down to a second; ours if it does not say."""
        date = date_of(headers)
        return self._epoch_clock() if date is None else date.timestamp()
