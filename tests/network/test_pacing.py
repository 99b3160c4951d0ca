"""The pace, in virtual time."""

from __future__ import annotations

import itertools
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.network.pacing import LONGEST_POLICY, LONGEST_WINDOW, MOST_WINDOWS, PACE, NotDue, Pacer
from tests.network.virtual_service import VirtualRun, VirtualService
from tests.seeds import seeds


@pytest.mark.parametrize("latency", [0.01, 0.3, 0.7])
def test_the_pace_is_reached_and_never_exceeded_whatever_the_latency(latency: float) -> None:
    service = VirtualService(limit=3000, window=300, has_headers=False)
    VirtualRun(service, 10, workers=8, latency=latency).run(900)

    assert service.refused == 0
    assert len(service.arrivals) >= 0.98 * 9000
    assert all(later - earlier >= 0.1 for earlier, later in itertools.pairwise(service.arrivals))


@pytest.mark.parametrize("latency", [0.001, 0.05, 0.2])
@pytest.mark.parametrize("has_date", [True, False])
@pytest.mark.parametrize(
    ("limit", "window"), [(50, 5), (300, 30), pytest.param(3000, 300, marks=pytest.mark.slow), (100, 60)]
)
def test_a_window_is_used_up_and_never_overrun(limit: int, window: float, has_date: bool, latency: float) -> None:
    service = VirtualService(limit, window, has_date=has_date, used_by_others=limit // 2)
    VirtualRun(service, 1_000, workers=8, latency=latency).run(6 * window)

    assert service.refused == 0
    assert len(service.used_by_window) >= 4
    assert min(service.used_by_window) >= 0.95 * limit


@pytest.mark.parametrize("seed", seeds(3, by_default=1))
def test_no_window_of_any_size_is_overrun(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(100):
        limit = dice.randint(1, 400)
        service = VirtualService(
            limit,
            dice.choice([1, 2, 3, 10, 60]),
            epoch_offset=1.7e9 + dice.random(),
            has_date=dice.random() < 0.7,
            used_by_others=dice.randint(0, limit - 1),
        )
        run = VirtualRun(
            service,
            dice.choice([1, 10, 50, 1000]),
            workers=dice.randint(1, 12),
            latency=dice.choice([0.001, 0.02, 0.1, 0.4, 1.5]),
            lose_every=dice.choice([0, 0, 3, 11]),
        )
        run.run(5 * service.window)
        assert service.refused == 0, (service, run)


def test_what_is_left_is_spread_evenly_over_the_rest_of_the_window() -> None:
    service = VirtualService(60, 60)
    VirtualRun(service, 1_000, workers=4, latency=0.01).run(300)

    gaps = [later - earlier for earlier, later in itertools.pairwise(service.arrivals)]
    assert max(gaps) < 2.5  # a burst, and then silence until the window ends, would leave a gap of a minute


class Clock:
    """A clock that moves only when somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def wait(self, condition: threading.Condition, seconds: float) -> None:
        self.now += seconds


def paced(requests_per_second: float) -> tuple[Pacer, Clock]:
    clock = Clock()
    return Pacer(requests_per_second, clock=clock, epoch_clock=lambda: 1_700_000_000.0, wait=clock.wait), clock


def test_a_penalty_is_waited_out_exactly() -> None:
    pacer, clock = paced(10)
    pacer.acquire()
    pacer.observe({})
    pacer.penalize(7)
    assert pacer.acquire().seconds == 7
    assert clock.now == 7


def test_retry_after_overrules_the_end_of_the_window_that_was_known() -> None:
    pacer, _ = paced(10)
    pacer.acquire()
    spent = {"RateLimit-Limit": "3000", "RateLimit-Remaining": "0", "RateLimit-Reset": "1700000200"}
    pacer.observe(spent | {"RateLimit-Policy": "3000;w=300"})
    pacer.penalize(3)
    assert pacer.acquire().seconds == 3


def test_one_worker_asks_until_it_is_known_what_is_left() -> None:
    pacer = Pacer(1_000)
    pacer.acquire()
    second = threading.Thread(target=pacer.acquire)
    second.start()
    second.join(0.1)
    assert second.is_alive()
    pacer.observe({})
    second.join(5)
    assert not second.is_alive()


def test_what_the_service_makes_a_request_wait_is_told_from_our_own_pace() -> None:
    pacer, clock = paced(0.1)
    interval = 10 / PACE
    assert pacer.acquire(patience=0) == (0, 0)
    pacer.observe({})
    seconds, by_service = pacer.acquire(patience=0)
    assert seconds == pytest.approx(interval)
    assert by_service == 0
    pacer.observe({})
    pacer.penalize(15)
    before = clock.now
    with pytest.raises(NotDue):
        pacer.acquire(patience=4)
    assert clock.now == before, "nobody waits for what comes too late"
    seconds, by_service = pacer.acquire(patience=6)
    assert seconds == 15
    assert by_service == pytest.approx(15 - interval)


def test_a_request_that_waits_for_its_turn_waits_for_the_service_too() -> None:
    pacer = Pacer(1_000)
    pacer.acquire()
    pacer.observe({})
    pacer.penalize(1.5)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(pacer.acquire)
        time.sleep(0.5)
        impatient, patient = pool.submit(pacer.acquire, 0.1), pool.submit(pacer.acquire, 5)
        with pytest.raises(NotDue):
            impatient.result()
    assert 0.1 < patient.result().by_service < first.result().by_service
    assert first.result().by_service > 1


def test_workers_that_wait_hear_of_a_penalty_in_the_meantime() -> None:
    pacer, clock = paced(1)
    pacer.acquire()
    pacer.observe({})
    waits: list[float] = []

    def wait(condition: threading.Condition, seconds: float) -> None:
        if not waits:
            pacer.penalize(60)
        waits.append(seconds)
        clock.now += seconds

    pacer._wait = wait
    pacer.acquire()
    assert clock.now == 60


def test_many_threads_together_do_not_exceed_the_pace() -> None:
    pacer = Pacer(2_000)
    pacer.acquire()
    pacer.observe({})
    begin = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: pacer.acquire(), range(1_000)))
    assert time.monotonic() - begin >= 998 / 2_000


_values = st.one_of(
    st.text(max_size=12), st.integers().map(str), st.floats().map(str), st.just("3000;w=300"), st.just("1;w=1e400")
)
_headers = st.dictionaries(
    st.sampled_from(["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "RateLimit-Policy", "Date"]), _values
)


@given(_headers)
def test_no_headers_stop_the_run(headers: dict[str, Any]) -> None:
    pacer, _ = paced(10)
    for _ in range(3):
        assert pacer.acquire().seconds <= 2 * LONGEST_WINDOW
        pacer.observe(headers)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RateLimit-Limit", "0"),
        ("RateLimit-Limit", "9" * 4_000),
        ("RateLimit-Remaining", "-5"),
        ("RateLimit-Reset", "1e300"),
        ("RateLimit-Reset", "-1e300"),
        ("RateLimit-Policy", "9" * 4_000 + ";w=" + "9" * 4_000),
        ("Date", "Fri, 31 Dec 9999 23:59:59 GMT"),
        ("Date", "Mon, 01 Jan 0001 00:00:00 -2359"),
    ],
)
def test_what_a_service_cannot_mean_holds_nobody_up(name: str, value: str) -> None:
    pacer, clock = paced(10)
    good = {"RateLimit-Limit": "3000", "RateLimit-Remaining": "2900", "RateLimit-Reset": f"{1_700_000_300}"}
    for _ in range(20):
        pacer.acquire()
        pacer.observe(good | {name: value})
    assert clock.now < 30


def test_a_service_may_not_name_windows_without_end() -> None:
    pacer, _ = paced(10)
    for number in range(100):
        pacer.acquire()
        pacer.observe(
            {
                "RateLimit-Limit": "3000",
                "RateLimit-Remaining": "3000",
                "RateLimit-Reset": f"{1_700_000_900 + number}",
                "RateLimit-Policy": f"{number};w=900" + "x" * 60_000,
            }
        )
    assert sum(map(len, pacer._windows)) <= MOST_WINDOWS * LONGEST_POLICY


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_a_pace_must_be_a_positive_number(rate: float) -> None:
    with pytest.raises(ValueError, match="requests_per_second"):
        Pacer(rate)
