"""The live job on Bluesky's own code: a PDS, and a relay, Jetstream (version 1) and Tap in front of it.

What the lake holds is compared, by count and by key, with the PDS's stream as the SDK reads it, and with its records.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from atproto import CAR, CID
from atproto_subscription.frames import Frame  # type: ignore[import-untyped]
from websockets.asyncio.client import connect

from pipelines.events.firehose import Firehose
from pipelines.events.jetstream import LegacyJetstream
from tests.live.conftest import QUICK, wait_until
from tests.live.job import kill, start_job
from tests.servers.atnet.programs import jetstream_of, relay_of, tap_of
from tests.servers.atnet.resident import POST, Resident, as_admin, post
from tests.servers.conftest import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pipelines.events.repo_event import Position, RepoEvent
    from tests.live.conftest import LiveLake, Row
    from tests.servers.atnet.programs import Program

Json = dict[str, Any]
Key = tuple[Any, ...]

PASSWORD = "a secret of Tap"
KILLS = int(os.environ.get("LIVE_KILLS", "2"))
"""Kills of each job: `LIVE_KILLS=50` for a thorough run."""


def sdk_events(url: str) -> set[Key]:
    """Read the whole stream of a PDS or a relay the SDK's way, until it is quiet. The last part of a key is its seq."""
    seen: list[Key] = []

    async def read() -> None:
        async with connect(f"{url}/xrpc/com.atproto.sync.subscribeRepos?cursor=0", max_size=None) as connection:
            with suppress(TimeoutError):
                while True:
                    frame = Frame.from_bytes(await asyncio.wait_for(connection.recv(), 3))
                    seen.extend(_keys(frame.type[1:], frame.body))

    asyncio.run(read())
    assert len(seen) == len(set(seen))
    return set(seen)


def has_stored(url: str, did: str) -> bool:
    """Ask whether a Jetstream, asked for its whole past, tells of an account."""

    async def read() -> bool:
        async with connect(f"{url}/subscribe?wantedDids={did}&cursor=1") as connection:
            with suppress(TimeoutError):
                return bool(await asyncio.wait_for(connection.recv(), 1))
        return False

    return asyncio.run(read())


def _keys(kind: str, body: Json) -> Iterator[Key]:
    if kind == "commit":
        blocks = CAR.from_bytes(body["blocks"]).blocks
        for op in body["ops"]:
            cid = op.get("cid") and CID.decode(op["cid"])
            assert cid is None or cid in blocks
            yield kind, body["repo"], op["path"], body["rev"], op["action"], cid and str(cid), body["seq"]
        return
    told = {"identity": ("handle",), "account": ("active", "status"), "sync": ("rev",)}[kind]
    yield kind, body["did"], datetime.fromisoformat(body["time"]), *(body.get(name) for name in told), body["seq"]


def lake_event(row: Row) -> Key:
    match row["kind"]:
        case "commit":
            told = [f"{row['collection']}/{row['rkey']}", row["rev"], row["operation"], row["cid"]]
        case "identity":
            told = [row["event_at"], row["handle"]]
        case "account":
            told = [row["event_at"], row["is_active"], row["status"]]
        case _:
            told = [row["event_at"], row["rev"]]
    return row["kind"], row["did"], *told, row["position"]


def _without_handle(event: Key) -> Key:
    return event[:-1] if event[0] == "identity" else event


def of(did: str, events: Iterable[Key]) -> set[Key]:
    """Take an account's events, without their numbers: each service has its own."""
    return {event[:-1] for event in events if event[1] == did}


def present(rows: Iterable[Row], did: str) -> dict[str, tuple[str, Json]]:
    """Fold an account's commits to the records that it has: CID and JSON of each, by URI."""
    records: dict[str, tuple[str, Json]] = {}
    commits = (row for row in rows if row["did"] == did and row["kind"] == "commit")
    for row in sorted(commits, key=lambda row: row["rev"]):
        if row["operation"] == "delete":
            records.pop(row["uri"], None)
        else:
            records[row["uri"]] = (row["cid"], json.loads(row["raw"]))
    return records


@pytest.fixture(scope="module")
def history(atnet: Json) -> list[Resident]:
    """Accounts with a past: two who are still there, one who was taken down and came back, one who left."""
    residents = [Resident(atnet) for _ in range(4)]
    for resident in residents:
        resident.live_a_little()
    residents[2].moderate(is_down=True)
    residents[2].moderate(is_down=False)
    residents[3].leave()
    return residents


@pytest.fixture
def relay(atnet: Json, tmp_path: Path) -> Iterator[Program]:
    with relay_of(atnet, tmp_path) as program:
        yield program


@pytest.fixture
def jetstream(atnet: Json, tmp_path: Path) -> Iterator[Program]:
    with jetstream_of(atnet, tmp_path) as program:
        yield program


def websocket(url: str) -> str:
    return url.replace("http", "ws", 1)


def test_every_event_of_a_pds_is_in_the_lake(atnet: Json, live: LiveLake, history: list[Resident]) -> None:
    expected = sdk_events(websocket(atnet["pds"]))
    feed = Firehose(websocket(atnet["pds"]), dids=None, limits=QUICK)
    feed.bookmark.go_on(0)
    live.run(feed)
    last = max(event[-1] for event in expected)
    # Tests beside this one write too.
    rows = [row for row in live.rows() if row["position"] <= last]
    assert len(rows) == len(expected)
    assert {lake_event(row) for row in rows} == expected
    assert {row["kind"] for row in rows} == {"commit", "identity", "account", "sync"}
    assert {row["status"] for row in rows if row["kind"] == "account"} == {None, "deactivated", "takendown", "deleted"}
    # Other tests write records with issues, on purpose.
    assert not [row["issues"] for row in rows if row["issues"] and row["did"] in {resident.did for resident in history}]
    for resident in history[:3]:
        assert present(rows, resident.did) == resident.records()


def test_every_event_of_jetstream_is_in_the_lake(
    atnet: Json, live: LiveLake, history: list[Resident], tmp_path: Path
) -> None:
    newest = Resident(atnet)
    expected = sdk_events(websocket(atnet["pds"]))
    with jetstream_of(atnet, tmp_path, cursor=0) as jetstream:
        # A reader misses events of the last second (`cutoverThresholdUS`) if a new one comes while it replays these,
        # and its seconds count from when it read the PDS.
        wait_until(lambda: has_stored(websocket(jetstream.url), newest.did))
        time.sleep(2)
        feed = LegacyJetstream(websocket(jetstream.url), dids=None, limits=QUICK)
        feed.bookmark.go_on(None, datetime.now(UTC) - timedelta(hours=1))
        # It may be silent for a while on a busy machine.
        for _ in range(60):
            live.run(feed)
            rows = live.rows()
            if of(newest.did, map(lake_event, rows)):
                break
    told = [lake_event(row) for row in rows]
    for resident in history:
        # Its version 1 tells no #sync.
        assert of(resident.did, told) == {event for event in of(resident.did, expected) if event[0] != "sync"}
    for resident in history[:3]:
        assert present(rows, resident.did) == resident.records()
    assert not [row["issues"] for row in rows if row["issues"] and row["did"] in {resident.did for resident in history}]


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("service", ["pds", "relay"])
def test_a_firehose_goes_on_within_a_commit(service: str, atnet: Json, request: pytest.FixtureRequest) -> None:
    """Wherever the position is that was stored, what comes after it comes."""
    url = websocket(atnet["pds"] if service == "pds" else request.getfixturevalue(service).url)
    resident = Resident(atnet)
    many = resident.write(*({"text": f"One of many, {number}"} for number in range(30)))
    resident.write(*({"rkey": key} for key in many[:10]), *({"rkey": key, "text": "edited"} for key in many[10:]))
    expected = {("create", key) for key in many} | {("delete", key) for key in many[:10]}
    expected |= {("update", key) for key in many[10:]}

    def read(position: Position | None, *, most: int) -> tuple[list[RepoEvent], Position | None]:
        feed = Firehose(url, dids=[resident.did], collections=[POST], limits=QUICK)
        feed.start(position or {"cursor": 0, "event_at": None})
        events: list[RepoEvent] = []

        def is_over() -> bool:
            nonlocal position
            is_caught_up = feed.is_caught_up
            delivery = feed.take(most - len(events))
            events.extend(event for event in delivery.events)
            position = delivery.position or position
            return is_caught_up or len(events) == most

        wait_until(is_over)
        feed.stop()
        return events, position

    def told(events: Iterable[RepoEvent]) -> set[tuple[str | None, str | None]]:
        return {(event.operation, event.rkey) for event in events if event.kind == "commit"}

    wait_until(lambda: told(read(None, most=1_000)[0]) == expected)
    for stored in (7, 30, 50):
        before, position = read(None, most=stored)
        after, _ = read(position, most=1_000)
        assert told(before + after) == expected


@pytest.mark.parametrize("service", ["pds", "relay", "jetstream"])
def test_a_stream_that_is_killed_at_any_moment(
    service: str, atnet: Json, live: LiveLake, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    program: Program | None = None if service == "pds" else request.getfixturevalue(service)
    command = ["jetstream", "--v1"] if service == "jetstream" else ["firehose"]
    url = websocket(program.url if program else atnet["pds"])
    settings = os.environ | {
        "SOURCES__REPO_EVENTS__FIREHOSE_SERVICE": url,
        "SOURCES__REPO_EVENTS__JETSTREAM_LEGACY_SERVICE": url,
    }
    # Batches that end within a commit.
    command += ["--all", "--batch-seconds", "0.2", "--batch-events", "25"]
    dice = random.Random(20_260_304)
    # Before the first position is in the lake, there is nothing that could be gone on from.
    first, passer_by = start_job(command, settings, tmp_path / "log"), Resident(atnet)

    def is_begun() -> bool:
        passer_by.write({"text": "Is anybody there?"})
        return any((live.lake.dataset / "_dlt_loads").glob("*"))

    wait_until(is_begun)
    kill(first)
    resident = Resident(atnet)
    for _ in range(KILLS):
        job = start_job(command, settings, tmp_path / "log")
        living = threading.Thread(target=resident.live_a_little)
        living.start()
        kill(job, after=dice.uniform(0.3, 2.5))
        living.join()
        if program:
            program.stop()
            program.start()
    resident.live_a_little()
    last = start_job([*command, "--until-caught-up"], settings, tmp_path / "log")
    last.join(60)
    assert last.exitcode == 0, (tmp_path / "log").read_text()
    rows = live.rows()
    told = of(resident.did, map(lake_event, rows))
    expected = of(resident.did, sdk_events(websocket(atnet["pds"])))
    if service == "jetstream":
        assert told == {event for event in expected if event[0] != "sync"}, "version 1 tells none"
    elif service == "relay":
        assert told == of(resident.did, sdk_events(url))
        # A relay leaves it to its readers to ask for the handle.
        assert {_without_handle(event) for event in told} == {_without_handle(event) for event in expected}
    else:
        assert told == expected
    assert present(rows, resident.did) == resident.records()
    assert live.gaps() == []


def test_tap_pushes_an_accounts_past_and_what_it_does(atnet: Json, live: LiveLake, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    settings = os.environ | {
        "SOURCES__REPO_EVENTS__WEBHOOK_PORT": str(port),
        "SOURCES__REPO_EVENTS__WEBHOOK_PASSWORD": PASSWORD,
        "SOURCES__REPO_EVENTS__WEBHOOK_SPOOL": str(tmp_path / "spool.sqlite"),
        # Less than Tap sends at once: it is told to come back.
        "SOURCES__REPO_EVENTS__WEBHOOK_SPOOL_EVENTS": "60",
    }
    command = ["webhook", "--batch-seconds", "0.2"]
    tap = tap_of(atnet, tmp_path, webhook=f"http://127.0.0.1:{port}/", password=PASSWORD)
    resident = Resident(atnet)
    resident.write(*({"text": f"Of the past, {number}"} for number in range(200)))
    resident.live_a_little()

    def is_told() -> bool:
        return present(live.rows(), resident.did) == resident.records()

    with tap:
        job = start_job(command, settings, tmp_path / "log")
        post(f"{tap.url}/repos/add", {"dids": [resident.did]}, as_admin(PASSWORD))
        wait_until(lambda: bool(live.rows()))
        kill(job)
        job = start_job(command, settings, tmp_path / "log")
        wait_until(is_told)
        past = max(row["rev"] for row in live.rows() if row["rev"])
        # Nobody takes what happens now, until somebody does.
        kill(job)
        resident.live_a_little()
        job = start_job(command, settings, tmp_path / "log")
        wait_until(is_told)
        wait_until(lambda: _statuses(live.rows()) >= {"active", "deactivated"})
        job.terminate()
        job.join(30)
        assert job.exitcode == 0, (tmp_path / "log").read_text()
    new = sorted((row for row in live.rows() if row["rev"] and row["rev"] > past), key=lambda row: row["position"])
    assert [row["rev"] for row in new] == sorted(row["rev"] for row in new), "an account's events come in order"
    expected = of(resident.did, sdk_events(websocket(atnet["pds"])))
    assert {lake_event(row)[:-1] for row in new} == {
        event for event in expected if event[0] == "commit" and event[3] > past
    }


def _statuses(rows: Iterable[Row]) -> set[str]:
    return {row["status"] or "active" for row in rows if row["kind"] == "identity"}
