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


class Patience:
    """Seconds that many conversations share, each for what it takes beyond its own. Safe to use from several threads.

    Args:
        owners: For whom they are, in messages.
        seconds: How many there are.
    """

    def __init__(self, owners: str, seconds: float) -> None:
        self.owners = owners
        self.given = self.left = seconds
        self._lock = threading.Lock()

    def take(self, seconds: float) -> None:
        """Take some; those that several take at once may be a little more than are left."""
        with self._lock:
            self.left = max(0.0, self.left - seconds)


ENDLESS: Final = Patience("anybody", inf)


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
        seconds: How long the other side may take, with the waits that it asks for. Neither the time between requests is
            counted, nor what our own pace takes.
        own_seconds: Those of them that are its own; the rest is taken from `patience`.
        patience: What it shares with others.
        request_count: Requests so far.
    """

    owner: str = "anything"
    requests: float = inf
    size: float = inf
    seconds: float = inf
    own_seconds: float = inf
    patience: Patience = ENDLESS
    request_count: int = field(default=0, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._given = {"requests": self.requests, "bytes": self.size, "seconds": self.seconds}
        self._given_own_seconds = self.own_seconds

    @contextmanager
    def spending(self) -> Iterator[Spending]:
        """Spend time, for as long as the block runs."""
        spending = Spending(self)
        try:
            yield spending
        finally:
            self.spend(seconds=spending.seconds)

    def spend(self, *, requests: int = 0, size: int = 0, seconds: float = 0) -> None:
        """Spend some of it."""
        with self._lock:
            self.request_count += requests
            self.requests -= requests
            self.size -= size
            self.seconds -= seconds
            beyond = max(0.0, seconds - self.own_seconds)
            self.own_seconds = max(0.0, self.own_seconds - seconds)
        self.patience.take(beyond)

    @property
    def seconds_left(self) -> float:
        """How long it may still take."""
        return min(self.seconds, self.own_seconds + self.patience.left)

    def shortage(self, seconds: float = 0) -> str | None:
        """Say what is spent, for people; None if something of everything is left.

        Args:
            seconds: Those that are being spent.
        """
        left = {"requests": self.requests, "bytes": self.size, "seconds": self.seconds - seconds}
        for name, rest in left.items():
            if rest <= 0:
                return f"it takes more than {self._given[name]:,.0f} {name}, which is the most for {self.owner}"
        if self.seconds_left <= seconds:
            shared = f"the {self.patience.given:,.0f} that {self.patience.owners} share beyond theirs are spent"
            return f"it takes more than {self._given_own_seconds:,.0f} seconds, and {shared}"
        return None


class Spending:
    """Time that a conversation is spending now.

    Args:
        budget: What it is spent of.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._begun = time.monotonic()

    @property
    def seconds(self) -> float:
        """How many were spent."""
        return time.monotonic() - self._begun

    @property
    def seconds_left(self) -> float:
        """How many may still be spent."""
        return self.budget.seconds_left - self.seconds

    def leave_out(self, seconds: float) -> None:
        """Count some of the last seconds as none that the other side took."""
        self._begun += seconds

    def shortage(self) -> str | None:
        """Say what is spent, as `Budget.shortage` does."""
        return self.budget.shortage(self.seconds)


UNLIMITED: Final = Budget()
"""For a service that the user has chosen, and questions whose number is known."""
