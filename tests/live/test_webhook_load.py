"""Many senders at once, good ones and bad, a slow disk and a full one: what was acknowledged is in the lake, once."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections import Counter
from contextlib import contextmanager, suppress
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, Final

import aiohttp
import pytest

from pipelines.events.spool import Spool, SpoolFull
from pipelines.events.webhook import LARGEST_BODY, Webhook
from pipelines.network.errors import ServiceFailed
from pipelines.sources.micro_batches import BatchLimits
from tests.disks import MIB, filled, small_disk
from tests.live.conftest import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.live.conftest import LiveLake

PASSWORD = "correct horse"
RIGHT = {"Authorization": aiohttp.encode_basic_auth("admin", PASSWORD)}
WRONG = {"Authorization": aiohttp.encode_basic_auth("admin", "battery staple")}
CONNECTIONS: Final = 64


def event(number: int, text: str = "") -> bytes:
    record = {
        "did": f"did:plc:{number % 997:024d}",
        "rev": "3lqxyzabcde2a",
        "collection": "app.bsky.feed.post",
        "rkey": f"r{number}",
        "action": "create",
        "cid": "bafy",
        "record": {"text": text},
    }
    return json.dumps({"id": number, "type": "record", "record": record}).encode()


INTRUDERS: Final = {
    "wrong password": (event(-1), WRONG),
    "no password": (event(-2), {}),
    "no JSON": (event(-3)[:-1], RIGHT),
    "too large": (event(-4, "x" * LARGEST_BODY), RIGHT),
}


class Senders:
    """Over 64 connections, each event is sent until it is acknowledged, as Tap does; intruders come in between.

    Attributes:
        answers: How often each status was answered to events.
        answers_to_intruders: The same for each kind of intruder.
    """

    def __init__(self, url: str, *, text: str = "") -> None:
        self.answers: Counter[int] = Counter()
        self.answers_to_intruders: Counter[tuple[str, int]] = Counter()
        self._url, self._text = url, text

    def send(self, numbers: range) -> None:
        """Send events of these numbers."""
        asyncio.run(self._send(iter(numbers)))

    async def _send(self, numbers: Iterator[int]) -> None:
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector) as session:
            await asyncio.gather(*(self._send_in_turn(session, numbers) for _ in range(CONNECTIONS)))

    async def _send_in_turn(self, session: aiohttp.ClientSession, numbers: Iterator[int]) -> None:
        for number in numbers:
            while (status := await self._post(session, event(number, self._text), RIGHT)) != HTTPStatus.OK:
                self.answers[status] += 1
                await asyncio.sleep(0.02)
            self.answers[HTTPStatus.OK] += 1
            if number % 10 == 0:
                name = "too large" if number % 1_000 == 0 else list(INTRUDERS)[number // 10 % 3]
                self.answers_to_intruders[name, await self._post(session, *INTRUDERS[name])] += 1

    async def _post(self, session: aiohttp.ClientSession, body: bytes, headers: dict[str, str]) -> int:
        async with session.post(self._url, data=body, headers=headers) as answer:
            return answer.status


@contextmanager
def slow_disk(path: Path) -> Iterator[None]:
    """Hold the spool's lock most of the time, as a disk does that takes long to write."""
    is_over = threading.Event()

    def hold() -> None:
        holder = sqlite3.connect(path, isolation_level=None, timeout=60)
        while not is_over.wait(0.01):
            holder.execute("begin immediate")
            is_over.wait(0.01)
            holder.execute("rollback")
        holder.close()

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def rkeys(live: LiveLake) -> list[str]:
    return sorted(row["rkey"] for row in live.rows())


def expected_rkeys(events: int) -> list[str]:
    return sorted(f"r{number}" for number in range(events))


@pytest.mark.slow
@pytest.mark.parametrize(("events", "room"), [(320, 100), (30_000, 2_000)])
def test_64_senders_lose_nothing_on_a_slow_disk_and_a_spool_that_is_often_full_and_nobody_else_gets_in(  # type: ignore[no-untyped-def]
    events, room, live, tmp_path
):
    # A load begins when the spool is nearly full, and the senders go on meanwhile.
    live.limits = BatchLimits(seconds=60, events=room - CONNECTIONS)
    feed = Webhook(Spool(tmp_path / "spool.sqlite", most_events=room), host="127.0.0.1", port=0, password=PASSWORD)
    with live.running(feed):
        wait_until(lambda: bool(feed.url))
        senders = Senders(feed.url)
        with slow_disk(tmp_path / "spool.sqlite"):
            senders.send(range(events))
        wait_until(lambda: feed.is_caught_up)
    assert senders.answers.keys() == {200, 503}
    assert senders.answers_to_intruders.keys() == {
        ("wrong password", 401),
        ("no password", 401),
        ("no JSON", 400),
        ("too large", 413),
    }
    assert rkeys(live) == expected_rkeys(events)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB."""
    with small_disk(tmp_path / "disk") as disk:
        yield disk


def fill(spool: Spool) -> int:
    """Put events into a spool until it takes no more, and count them."""
    for number in count():
        try:
            spool.append([event(number, "x" * 8_000)])
        except SpoolFull:
            return number
    raise AssertionError


def test_a_disk_without_any_room_keeps_what_was_acknowledged(disk: Path) -> None:
    path = disk / "spool.sqlite"
    spool = Spool(path, spare_bytes=0)
    kept = fill(spool)
    spool.remove(kept)
    assert spool.pending == kept, "not even a deletion can be written"
    spool.close()
    with filled(disk), suppress(ServiceFailed):
        Spool(path).close()
    spool = Spool(path, spare_bytes=0)
    assert [body for _, _, body in spool.read(0, 10**9)] == [event(number, "x" * 8_000) for number in range(kept)]


def test_a_spool_that_filled_its_disk_takes_on_again_when_its_events_are_in_the_lake(disk: Path) -> None:
    """Nobody else has to make room: it leaves as much free as its deletions take."""
    spool = Spool(disk / "spool.sqlite", spare_bytes=8 * MIB)
    for _ in range(4):
        assert fill(spool) > 300
        spool.remove(spool.read(0, 10**9)[-1][0])
        assert spool.pending == 0


def test_a_full_disk_is_answered_with_503_and_nothing_is_lost_when_there_is_room_again(live, disk):  # type: ignore[no-untyped-def]
    live.limits = BatchLimits(seconds=0.1, events=50_000)
    feed = Webhook(Spool(disk / "spool.sqlite", spare_bytes=8 * MIB), host="127.0.0.1", port=0, password=PASSWORD)
    with live.running(feed) as batches:
        wait_until(lambda: bool(feed.url))
        senders = Senders(feed.url, text="x" * 8_000)
        senders.send(range(100))
        rest = threading.Thread(target=senders.send, args=(range(100, 400),))
        with filled(disk):
            rest.start()
            wait_until(lambda: senders.answers[503] >= CONNECTIONS)
            # What was acknowledged goes on into the lake, though it cannot be removed from the disk.
            wait_until(lambda: batches.run.loaded_count >= 100)
        rest.join()
        wait_until(lambda: feed.is_caught_up)
    assert senders.answers.keys() == {200, 503}
    assert rkeys(live) == expected_rkeys(400)
