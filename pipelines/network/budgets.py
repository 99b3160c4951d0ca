"""What a run spends on one conversation, whatever the other side says."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Budget:
    """What is left for one conversation: all requests that one question, one walk or one account leads to.

    A single answer is bounded in time and size by the client. A budget bounds how many of them there are: of pages that
    never end, of waits that a service asks for, of answers that come a moment before their time is over. Safe to use
    from several threads; requests under way at once may spend a little more than is left.

    Attributes:
        owner: What it is for, in messages.
        requests: How many may be sent, each attempt counted.
        size: Bytes of bodies that may come, as they come over the wire.
        seconds: How long it may take, with all waiting; the time between its requests is not counted.
    """

    owner: str = "anything"
    requests: float = inf
    size: float = inf
    seconds: float = inf
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._given = {"requests": self.requests, "bytes": self.size, "seconds": self.seconds}

    @contextmanager
    def spending(self) -> Iterator[float]:
        """Spend time.

        Yields:
            The moment, on `time.monotonic`'s clock, at which none is left.
        """
        begun = time.monotonic()
        try:
            yield begun + self.seconds
        finally:
            with self._lock:
                self.seconds -= time.monotonic() - begun

    def spend(self, *, requests: int = 0, size: int = 0) -> None:
        """Spend requests and bytes."""
        with self._lock:
            self.requests -= requests
            self.size -= size

    def shortage(self, latest: float) -> str | None:
        """Say what is spent, for people; None if something of everything is left.

        Args:
            latest: What `spending` yielded.
        """
        left = {"requests": self.requests, "bytes": self.size, "seconds": latest - time.monotonic()}
        for name, rest in left.items():
            if rest <= 0:
                return f"it takes more than {self._given[name]:,.0f} {name}, which is the most for {self.owner}"
        return None


UNLIMITED: Final = Budget()
"""For a service that the user has chosen, and questions whose number is known."""
