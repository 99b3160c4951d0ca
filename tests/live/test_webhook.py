"""What a webhook acknowledges is on disk; what it is not to have, it does not take."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import resource
import socket
import sqlite3
import sys
import threading
from typing import TYPE_CHECKING

import aiohttp
import pytest

from pipelines.events.spool import Spool
from pipelines.events.webhook import HELD_AT_LEAST, LARGEST_BODY, Webhook
from pipelines.events.webhook_door import DoorLimits
from pipelines.network.errors import ServiceFailed
from tests.live.conftest import wait_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

PASSWORD = "correct horse"
RIGHT = {"Authorization": aiohttp.encode_basic_auth("admin", PASSWORD)}


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.sqlite")


@pytest.fixture
def webhook(spool: Spool) -> Iterator[Webhook]:
    feed = Webhook(spool, host="127.0.0.1", port=0, password=PASSWORD)
    feed.start(None)
    yield feed
    feed.stop()


def event(number: int) -> bytes:
    return json.dumps(
        {
            "id": number,
            "type": "record",
            "record": {
                "live": True,
                "did": f"did:plc:{number % 997:024d}",
                "rev": "3lqxyzabcde2a",
                "collection": "app.bsky.feed.post",
                "rkey": f"r{number}",
                "action": "create",
                "cid": "bafy",
                "record": {"text": "x" * 200},
            },
        }
    ).encode()


def post(feed: Webhook, body: bytes, headers: dict[str, str] = RIGHT, method: str = "POST", path: str = "/") -> int:
    host = feed.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=20)
    try:
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def stored(spool: Spool) -> list[bytes]:
    return [body for _, _, body in spool.read(0, 10**9)]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Basic"},
        {"Authorization": aiohttp.encode_basic_auth("admin", "wrong")},
        {"Authorization": aiohttp.encode_basic_auth("root", PASSWORD)},
        {"Authorization": aiohttp.encode_basic_auth("admin", PASSWORD + "\n")},
        {"Authorization": f"Bearer {PASSWORD}"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Basic \xff\xfe"},
        {"Authorization": RIGHT["Authorization"].lower()},
        {"X-Authorization": RIGHT["Authorization"]},
    ],
)
def test_nobody_without_the_password_gets_in(headers, webhook, spool):  # type: ignore[no-untyped-def]
    assert post(webhook, event(1), headers) == 401
    assert stored(spool) == []


def test_what_is_acknowledged_is_what_was_sent(webhook, spool):  # type: ignore[no-untyped-def]
    assert post(webhook, event(1)) == 200
    assert stored(spool) == [event(1)]


@pytest.mark.parametrize("body", [b"", b"hello", b'{"id": 1', b"\xff\xfe", b'{"a": NaN}'])
def test_what_is_no_json_is_refused(body, webhook, spool):  # type: ignore[no-untyped-def]
    assert post(webhook, body) == 400
    assert stored(spool) == []


def test_json_that_is_no_event_is_kept_so_that_the_sender_does_not_repeat_it_for_ever(webhook):  # type: ignore[no-untyped-def]
    assert post(webhook, b'{"hello": ["world"]}') == 200
    assert post(webhook, event(2)) == 200
    kinds = [event.kind for event in webhook.take(10).events]
    assert kinds == ["unreadable", "commit"]


def test_a_body_that_is_too_large_is_refused_however_it_is_sent(webhook, spool):  # type: ignore[no-untyped-def]
    large = b'"' + b"x" * LARGEST_BODY + b'"'
    assert post(webhook, b"{}", {**RIGHT, "Content-Length": str(LARGEST_BODY + 1)}) == 413

    async def in_chunks() -> int:
        async def chunks() -> AsyncIterator[bytes]:
            for start in range(0, len(large), 65_536):
                yield large[start : start + 65_536]

        async with (
            aiohttp.ClientSession() as session,
            session.post(webhook.url, data=chunks(), headers=RIGHT) as answer,
        ):
            return answer.status

    assert asyncio.run(in_chunks()) == 413
    assert stored(spool) == []
    assert post(webhook, event(1)) == 200


def test_a_full_spool_sheds_load_and_takes_on_again_when_there_is_room(tmp_path):  # type: ignore[no-untyped-def]
    spool = Spool(tmp_path / "spool.sqlite", most_events=3)
    feed = Webhook(spool, host="127.0.0.1", port=0, password=PASSWORD)
    feed.start(None)
    try:
        assert [post(feed, event(number)) for number in range(5)] == [200, 200, 200, 503, 503]
        position = feed.take(2).position
        assert position is not None
        feed.commit(position)
        assert [post(feed, event(number)) for number in range(5, 8)] == [200, 200, 503]
    finally:
        feed.stop()


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="the system limits no file")
def test_a_full_disk_acknowledges_nothing_that_is_not_on_it(tmp_path):  # type: ignore[no-untyped-def]
    """A limit on the size of files fails writes as a full disk does, in a process of its own."""
    script = f"""
import resource, signal
from pathlib import Path
from pipelines.events.spool import Spool, SpoolFull
spool = Spool(Path({str(tmp_path / "spool.sqlite")!r}))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
kept = 0
try:
    while True:
        spool.append([b"x" * 1_000 + str(kept).encode()])
        kept += 1
except SpoolFull:
    print(kept)
"""
    import subprocess  # noqa: PLC0415

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    kept = int(done.stdout)
    assert kept > 10
    bodies = stored(Spool(tmp_path / "spool.sqlite"))
    assert bodies[:kept] == [b"x" * 1_000 + str(number).encode() for number in range(kept)]


def test_what_an_earlier_process_acknowledged_is_delivered_by_the_next(tmp_path):  # type: ignore[no-untyped-def]
    first = Spool(tmp_path / "spool.sqlite")
    first.append([event(1), event(2), event(3)])
    position = {"spool": first.identity, "id": 1}
    first.close()
    feed = Webhook(Spool(tmp_path / "spool.sqlite"), host="127.0.0.1", port=0, password=PASSWORD)
    feed.start(position)
    try:
        assert [event.rkey for event in feed.take(10).events] == ["r2", "r3"]
        assert feed._spool.pending == 2
    finally:
        feed.stop()


def test_a_new_spool_is_not_taken_for_one_that_was_loaded(tmp_path):  # type: ignore[no-untyped-def]
    feed = Webhook(Spool(tmp_path / "new.sqlite"), host="127.0.0.1", port=0, password=PASSWORD)
    feed._spool.append([event(1)])
    feed.start({"spool": "another", "id": 1_000})
    try:
        assert len(feed.take(10).events) == 1
    finally:
        feed.stop()


def test_numbers_are_not_used_again_when_a_spool_was_emptied(tmp_path):  # type: ignore[no-untyped-def]
    spool = Spool(tmp_path / "spool.sqlite")
    spool.append([event(1), event(2)])
    spool.remove(2)
    spool.append([event(3)])
    assert [number for number, _, _ in spool.read(0, 10)] == [3]


def test_health_says_how_much_waits_and_no_more(webhook):  # type: ignore[no-untyped-def]
    post(webhook, event(1))
    post(webhook, event(2), {})
    connection = http.client.HTTPConnection(webhook.url.removeprefix("http://"))
    connection.request("GET", "/health")
    told = json.loads(connection.getresponse().read())
    assert told == {"status": "ok", "pending": 1, "pending_bytes": len(event(1)), "received": 1, "refused": 1}
    assert post(webhook, b"", RIGHT, "GET", "/events") == 404


def test_an_address_in_use_is_told_in_one_line(webhook, tmp_path):  # type: ignore[no-untyped-def]
    port = int(webhook.url.rpartition(":")[2])
    other = Webhook(Spool(tmp_path / "other.sqlite"), host="127.0.0.1", port=port, password=PASSWORD)
    with pytest.raises(ServiceFailed, match="cannot listen"):
        other.start(None)
    other.stop()


def test_no_body_and_no_password_gets_into_a_log(webhook, caplog, capfd):  # type: ignore[no-untyped-def]
    caplog.set_level(0)
    secret = b'{"text": "something personal"}'
    post(webhook, secret)
    post(webhook, b"something personal")
    post(webhook, secret, {"Authorization": "Basic d3Jvbmc="})
    captured = capfd.readouterr()
    everything = caplog.text + captured.out + captured.err
    assert "personal" not in everything
    assert PASSWORD not in everything
    assert RIGHT["Authorization"].split()[1] not in everything


@pytest.mark.parametrize("body", [event(1), b'"' + b"x" * 2**20 + b'"'], ids=["small", "large"])
def test_a_disk_that_does_not_answer_makes_senders_come_back(body, webhook, spool, monkeypatch):  # type: ignore[no-untyped-def]
    """A reader that holds the database makes the disk as slow as can be; meanwhile memory holds four requests."""
    monkeypatch.setattr("pipelines.events.webhook.MOST_HELD", 4 * max(HELD_AT_LEAST, len(body)))
    holder = sqlite3.connect(spool._connection.execute("pragma database_list").fetchone()[2], isolation_level=None)
    holder.execute("begin immediate")
    spool._connection.execute("pragma busy_timeout = 60000")
    answers: list[int] = []
    senders = [threading.Thread(target=lambda: answers.append(post(webhook, body))) for _ in range(12)]
    for sender in senders:
        sender.start()
    wait_until(lambda: answers.count(503) >= 8)
    holder.execute("rollback")
    holder.close()
    for sender in senders:
        sender.join()
    assert answers.count(200) == len(stored(spool)) == 4
    assert post(webhook, body) == 200
    assert answers.count(200) + answers.count(503) == 12


@pytest.fixture
def small(spool: Spool) -> Iterator[Webhook]:
    """A webhook that lets forty connections in, twenty from one address, and waits for none of them long."""
    limits = DoorLimits(connections=40, connections_of_one=20, idle_seconds=2)
    feed = Webhook(spool, host="127.0.0.1", port=0, password=PASSWORD, limits=limits)
    feed.start(None)
    yield feed
    feed.stop()


def connections(feed: Webhook, count: int, address: str = "127.0.0.1", says: bytes = b"") -> list[socket.socket]:
    host, port = feed.url.removeprefix("http://").split(":")
    opened = [socket.create_connection((host, int(port)), source_address=(address, 0)) for _ in range(count)]
    for connection in opened:
        connection.settimeout(5)
        if says:
            with contextlib.suppress(OSError):
                connection.sendall(says)
    return opened


@pytest.mark.parametrize("says", [b"", b"POST / HTTP/1.1\r\nHost: a\r\nX-Slow: "], ids=["nothing", "half a header"])
def test_hundreds_of_idle_connections_take_the_webhook_from_nobody_else(
    small: Webhook, spool: Spool, capfd: pytest.CaptureFixture[str], says: bytes
) -> None:
    idle = connections(small, 300, "127.0.0.2", says)
    wait_until(lambda: "connections were too many" in small.condition)
    assert post(small, event(1)) == 200, "another address gets in"
    for connection in idle:
        with contextlib.suppress(ConnectionError):
            while connection.recv(1024):
                pass
        connection.close()
    assert [post(small, event(number)) for number in range(2, 30)] == [200] * 28
    assert len(stored(spool)) == 29
    assert capfd.readouterr().err == ""


def test_whoever_is_too_many_is_told_to_come_back(small: Webhook) -> None:
    first = connections(small, 20)
    (late,) = connections(small, 1)
    assert late.recv(1024).startswith(b"HTTP/1.1 503 ")
    for connection in (*first, late):
        connection.close()
    wait_until(lambda: post_or_none(small, event(1)) == 200)


def post_or_none(feed: Webhook, body: bytes) -> int | None:
    try:
        return post(feed, body)
    except OSError:
        return None


def test_without_file_descriptors_it_pauses_and_says_so_in_a_line(
    webhook: Webhook, caplog: pytest.LogCaptureFixture
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 (names alone)
    host, port = webhook.url.removeprefix("http://").split(":")
    waiting, fillers = socket.socket(), []
    resource.setrlimit(resource.RLIMIT_NOFILE, (taken, hard))
    try:
        with contextlib.suppress(OSError):  # Numbers that are free among those in use.
            while True:
                fillers.append(os.open(os.devnull, os.O_RDONLY))
        waiting.connect((host, int(port)))
        wait_until(lambda: "no file descriptors left" in webhook.condition)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in fillers:
            os.close(descriptor)
        waiting.close()
    wait_until(lambda: post_or_none(webhook, event(1)) == 200)
    assert caplog.text == "", "no stack trace"
