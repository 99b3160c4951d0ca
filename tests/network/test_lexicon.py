"""Times as people's software writes them, and threads; the rest is held to the whole sample world and to bad pages."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.network.lexicon import parse_datetime

OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
NOT_AT_THE_EDGES = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=OFFSETS)


@given(NOT_AT_THE_EDGES, st.integers(0, 12))
def test_a_time_with_any_offset_and_any_number_of_digits_is_the_same_moment(at: datetime, digits: int) -> None:
    fraction = f".{at.microsecond:06}789012"[: digits + 1] if digits else ""
    microsecond = int(fraction[1:7].ljust(6, "0")) if digits else 0
    offset = at.isoformat()[-6:]
    text = f"{at.year:04}-{at:%m-%dT%H:%M:%S}{fraction}{offset}"
    assert parse_datetime(text) == at.replace(microsecond=microsecond)
    if offset == "+00:00":
        assert parse_datetime(text.removesuffix(offset) + "Z") == at.replace(microsecond=microsecond)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "1772400000",
        "2026-03-02",
        "2026-03-02T23:00:00",
        "2026-03-02T23:00:00.000",
        "2026-02-30T00:00:00Z",
        "2026-03-02T25:00:00Z",
        "2016-12-31T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "-0001-01-01T00:00:00Z",
        "+012026-03-02T00:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "\uff12\uff10\uff12\uff16-03-02T23:00:00Z",
    ],
)
def test_what_is_no_time_of_this_calendar_is_none(text: str) -> None:
    assert parse_datetime(text) is None


@given(st.text())
def test_no_text_raises(text: str) -> None:
    parsed = parse_datetime(text)
    assert parsed is None or parsed.tzinfo is UTC


FIRST_ITEMS = """
import threading, time
from concurrent.futures import ThreadPoolExecutor
import msgspec
from pipelines.network.lexicon import decode

is_begun = threading.Event()

def slow_type():
    is_begun.set()
    time.sleep(0.2)
    return str

class Post(msgspec.Struct):
    uri: "slow_type()" = ""

class Item(msgspec.Struct):
    post: Post | None = None

def read(wait):
    wait()
    return decode(b'{"post": {"uri": "at://a"}}', Item)

with ThreadPoolExecutor() as threads:
    print(list(threads.map(read, [lambda: None, is_begun.wait])))
"""


def test_two_threads_read_the_first_items_of_a_kind_at_once() -> None:
    reading = subprocess.run([sys.executable, "-c", FIRST_ITEMS], capture_output=True, text=True, check=False)
    assert reading.returncode == 0, reading.stderr or "the process crashed"
    assert reading.stdout.count("at://a") == 2
