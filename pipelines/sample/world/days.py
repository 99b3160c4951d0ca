"""The sample world's calendar.

A slot is the 24 hours that end at 23:00 UTC, when the nightly pull looks at the world. Slot 1 ends in the evening of
day 1, a Monday; the slots up to 0 are the history before it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

FIRST_SLOT: Final = -180
_DAY_ONE: Final = datetime(2026, 3, 2, 23, tzinfo=UTC)


def evening(slot: int) -> datetime:
    """Give the moment at which a slot ends and its day is looked at."""
    return _DAY_ONE + timedelta(days=slot - 1)


def moment(slot: int, clock: str) -> datetime:
    """Give the moment at which a clock shows `HH:MM` in a slot. Before 23:00 that is on the slot's own date."""
    hours, minutes = map(int, clock.split(":"))
    at = evening(slot).replace(hour=hours, minute=minutes)
    return at if at <= evening(slot) else at - timedelta(days=1)


def slot_of(at: datetime) -> int:
    """Give the slot in which a moment lies: the first day whose evening sees what happened then."""
    return 1 - (_DAY_ONE - at) // timedelta(days=1)


def timestamp(at: datetime) -> str:
    """Write a time as most clients do: UTC, milliseconds, Z."""
    return at.isoformat(timespec="milliseconds")[:-6] + "Z"
