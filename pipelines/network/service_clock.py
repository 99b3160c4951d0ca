"""The time of a run: this machine's or, where its clock is wrong, the service's."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from pipelines.network.errors import NetworkError
from pipelines.network.headers import date_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LARGEST_SKEW: Final = timedelta(minutes=5)
"""By how much this machine's clock may differ from the service's before the service's is taken."""


def utc_now() -> datetime:
    """Tell the time by this machine."""
    return datetime.now(UTC)


class ServiceClock:
    """Tells the time: the machine's or, where the two are far apart, the service's.

    All that is stored says when it was seen, and what is claimed to be gone or complete follows from that. So a machine
    that is a year ahead would claim, for a year, to know better than every later run.

    The first answer that tells the service's time decides for the whole run, so that times never go back in it.

    Args:
        machine: Tells the machine's time.

    Attributes:
        skew: By how much the service's clock is ahead of the machine's; None as long as no answer has told.
    """

    def __init__(self, machine: Callable[[], datetime] = utc_now) -> None:
        self.skew: timedelta | None = None
        self._machine = machine

    def __call__(self) -> datetime:
        """Tell the time."""
        now = self._machine()
        return now + self.skew if self.skew is not None and self.is_machine_wrong else now

    @property
    def is_machine_wrong(self) -> bool:
        """Whether the machine's clock is too far from the service's to be used."""
        return self.skew is not None and abs(self.skew) > LARGEST_SKEW

    def hear(self, headers: Mapping[str, str]) -> None:
        """Read the service's time from the headers of an answer that has just come."""
        if self.skew is not None:
            return
        date = date_of(headers)
        if date is not None:
            self.skew = date - self._machine()

    def __str__(self) -> str:
        skew = self.skew or timedelta()
        direction = "behind" if skew > timedelta() else "ahead of"
        return f"this machine's clock is {_rough(abs(skew))} {direction} the service's"


def hear_the_time(clock: Callable[[], datetime], ask: Callable[[], object]) -> None:
    """Let a service tell its time before the first observation, where that is to count and no answer has told.

    Args:
        clock: The run's.
        ask: Asks the service anything; whatever it answers will do.
    """
    if isinstance(clock, ServiceClock) and clock.skew is None:
        with suppress(NetworkError):
            ask()


def _rough(span: timedelta) -> str:
    for name, unit in (("days", timedelta(days=1)), ("hours", timedelta(hours=1))):
        if span >= 1.9 * unit:
            return f"{round(span / unit):,} {name}"
    return f"{round(span / timedelta(minutes=1))} minutes"
