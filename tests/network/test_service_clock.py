"""The time of a run: this machine's, unless the service says that it is far off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.network.headers import date_of
from pipelines.network.service_clock import LARGEST_SKEW, ServiceClock

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SKEWS = st.integers(-9_000 * 86_400, 9_000 * 86_400).map(lambda seconds: timedelta(seconds=seconds))


def saying(time: datetime) -> dict[str, str]:
    return {"Date": format_datetime(time, usegmt=True)}


@given(skew=SKEWS, later=st.timedeltas(timedelta(0), timedelta(days=1)), second_skew=SKEWS)
def test_a_clock_that_is_far_off_is_corrected_by_the_first_answer_alone(
    skew: timedelta, later: timedelta, second_skew: timedelta
) -> None:
    now = NOW
    clock = ServiceClock(lambda: now)
    assert clock() == NOW, "nobody has told"
    clock.hear(saying(NOW + skew))
    now = NOW + later
    clock.hear(saying(NOW + second_skew))
    is_wrong = abs(skew) > LARGEST_SKEW
    assert clock.is_machine_wrong == is_wrong
    assert clock() == now + (skew if is_wrong else timedelta(0))


@given(
    date=st.one_of(st.none(), st.text(), st.from_regex(r"(Mon, )?\d{1,9} (Mar|XYZ) \d{1,5} \d\d:\d\d:\d\d( \S{1,6})?"))
)
def test_a_date_that_cannot_be_read_changes_nothing(date: str | None) -> None:
    headers = {} if date is None else {"Date": date}
    clock = ServiceClock(lambda: NOW)
    clock.hear(headers)
    if date_of(headers) is None:
        assert clock() == NOW
        assert clock.skew is None


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 1601 00:00:00 GMT"])
def test_a_date_that_no_answer_can_have_is_passed_over(date: str) -> None:
    now = NOW
    clock = ServiceClock(lambda: now)
    clock.hear({"Date": date})
    now += timedelta(days=1)
    assert clock() == now


@pytest.mark.parametrize(
    ("skew", "said"),
    [
        (timedelta(days=-365), "365 days ahead of"),
        (timedelta(hours=30), "30 hours behind"),
        (timedelta(hours=-3), "3 hours ahead of"),
        (timedelta(minutes=7), "7 minutes behind"),
    ],
)
def test_it_is_said_by_how_much(skew: timedelta, said: str) -> None:
    clock = ServiceClock(lambda: NOW)
    clock.hear(saying(NOW + skew))
    assert str(clock) == f"this machine's clock is {said} the service's"
