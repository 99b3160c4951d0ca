"""A rate-limited service and its clients in virtual time: minutes take milliseconds, and nothing is random."""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING

from pipelines.network.pacing import Pacer
from tests.network.scripted_server import Reply

if TYPE_CHECKING:
    import threading

    from tests.network.scripted_server import Asked


@dataclass
class VirtualService:
    """Fixed windows, as `rate-limiter-flexible` counts them: a window begins with its first request.

    Times are virtual seconds. The service's clock is `epoch_offset` ahead of them; it says so in `Date`, unless
    `has_date` is off.
    """

    limit: int
    window: float
    epoch_offset: float = 1_700_000_000.25
    has_date: bool = True
    has_headers: bool = True
    used_by_others: int = 0
    window_ends_at: float = -math.inf
    used: int = 0
    arrivals: list[float] = field(default_factory=list)
    refused: int = 0
    used_by_window: list[int] = field(default_factory=list)

    def answer(self, now: float) -> dict[str, str]:
        if now >= self.window_ends_at:
            if self.arrivals:
                self.used_by_window.append(self.used)
            self.window_ends_at = now + self.window
            self.used = 0 if self.arrivals else self.used_by_others
        self.arrivals.append(now)
        self.used += 1
        self.refused += self.used > self.limit
        headers = {}
        if self.has_date:
            headers["Date"] = formatdate(math.floor(self.epoch_offset + now), usegmt=True)
        if self.has_headers:
            headers["RateLimit-Limit"] = str(self.limit)
            headers["RateLimit-Remaining"] = str(max(0, self.limit - self.used))
            headers["RateLimit-Reset"] = str(math.floor(self.epoch_offset + self.window_ends_at))
            headers["RateLimit-Policy"] = f"{self.limit};w={self.window:g}"
        return headers


class VirtualTime(ABC):
    """Time that passes when its pacer waits."""

    def __init__(self, service: VirtualService, requests_per_second: float) -> None:
        self.now = 0.0
        self.service = service
        self.pacer = Pacer(
            requests_per_second,
            clock=lambda: self.now,
            epoch_clock=lambda: self.now + service.epoch_offset,
            wait=self._wait,
        )

    @abstractmethod
    def _wait(self, condition: threading.Condition, seconds: float) -> None: ...


class VirtualRun(VirtualTime):
    """Workers that ask a service as fast as their pacer lets them."""

    def __init__(
        self,
        service: VirtualService,
        requests_per_second: float,
        *,
        workers: int = 8,
        latency: float = 0.1,
        lose_every: int = 0,
    ) -> None:
        super().__init__(service, requests_per_second)
        self._workers = workers
        self._latency = latency
        self._lose_every = lose_every
        self._sent = 0
        self._events: list[tuple[float, int, dict[str, str] | None]] = []

    def run(self, seconds: float) -> None:
        while True:
            while self._busy() >= self._workers:
                self._advance(math.inf)
            self.pacer.acquire()
            if self.now >= seconds:
                return
            self._sent += 1
            heapq.heappush(self._events, (self.now + self._latency / 2, 2 * self._sent, None))

    def _busy(self) -> int:
        return len(self._events)

    def _wait(self, condition: threading.Condition, seconds: float) -> None:
        self._advance(self.now + seconds)

    def _advance(self, until: float) -> None:
        """Go on to the next moment at which something happens, but not beyond `until`."""
        if not self._events or self._events[0][0] > until:
            self.now = until
            return
        at, number, headers = heapq.heappop(self._events)
        self.now = max(self.now, at)
        if number % 2 == 0:  # arrives at the service
            headers = self.service.answer(self.now)
            heapq.heappush(self._events, (self.now + self._latency / 2, number + 1, headers))
        elif self._lose_every and (number // 2) % self._lose_every == 0:
            self.pacer.lost()
        else:
            self.pacer.observe(headers or {})


class VirtualClock(VirtualTime):
    """Virtual time for threads that ask a real server, whose answers take `latency`.

    It passes while the server holds every request that was sent, and a worker waits for its turn or all for answers, so
    that it does not matter how quickly the threads run.
    """

    def __init__(
        self, service: VirtualService, requests_per_second: float, *, workers: int, windows: int, latency: float = 0.1
    ) -> None:
        super().__init__(service, requests_per_second)
        self._workers = workers
        self._windows = windows
        self._latency = latency
        self._answers_due: list[float] = []

    def is_over(self) -> bool:
        """Tell whether so many windows have ended; from then on answers take no time."""
        return len(self.service.used_by_window) >= self._windows

    def answer(self, asked: Asked) -> Reply:
        with self.pacer._changed:
            headers = self.service.answer(self.now)
            is_refused = self.service.used > self.service.limit
            due = self.now + self._latency
            self._answers_due.append(due)
            self.pacer._changed.notify_all()
            if len(self._held()) == self._workers:
                self._pass_time(math.inf)
            self.pacer._changed.wait_for(lambda: due <= self.now or self.is_over())
            self._answers_due.remove(due)
        return Reply(status=429 if is_refused else 200, headers=headers)

    def _held(self) -> list[float]:
        return [due for due in self._answers_due if due > self.now]

    def _wait(self, condition: threading.Condition, seconds: float) -> None:
        if self.pacer._in_flight > len(self._held()):
            condition.wait()  # A request has still to arrive, or its answer to be read.
        else:
            self._pass_time(seconds)

    def _pass_time(self, seconds: float) -> None:
        self.now = min(self.now + seconds, *self._held(), math.inf)
        self.pacer._changed.notify_all()
