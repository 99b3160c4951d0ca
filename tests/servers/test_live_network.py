"""The firehose and Tap as Bluesky's own code serves them: every event of a PDS is in the lake, by count and by key."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from atproto import CAR, CID, Client
from atproto_subscription.frames import Frame  # type: ignore[import-untyped]
from websockets.asyncio.client import connect

from pipelines.network.firehose import Firehose
from pipelines.network.webhook import Spool, Webhook
from tests.live.conftest import LiveLake, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Lake

Json = dict[str, Any]


@pytest.fixture
def live(lake: Lake) -> LiveLake:
    return LiveLake(lake)


def log_in(atnet: Json, name: str) -> Client:
    client = Client(atnet["pds"])
    client.login(atnet["accounts"][name]["handle"], atnet["accounts"][name]["password"])
    return client


def make_traffic(atnet: Json) -> None:
    """Let two accounts create, update and delete records, one change its profile and its handle."""
    for name in ("ana", "bruno"):
        client = log_in(atnet, name)
        repo = atnet["accounts"][name]["did"]
        for number in range(15):
            post = client.send_post(f"Live {number}, at {time.time()}: Grüße 🦆")
            like = client.like(post.uri, post.cid)
            if number % 3 == 0:
                client.unlike(like.uri)
            if number % 4 == 0:
                client.delete_post(post.uri)
            if number % 5 == 1:
                client.com.atproto.repo.put_record(
                    {
                        "repo": repo,
                        "collection": "app.bsky.feed.post",
                        "rkey": post.uri.rpartition("/")[2],
                        "record": {
                            "$type": "app.bsky.feed.post",
                            "text": "edited",
                            "createdAt": "2026-03-02T12:00:00Z",
                        },
                    }
                )
    handle = atnet["accounts"]["bruno"]["handle"]
    client.com.atproto.identity.update_handle({"handle": "bruno-live.test"})
    client.com.atproto.identity.update_handle({"handle": handle})
    client = log_in(atnet, "carla")
    for number in range(200):
        client.send_post(f"One of many, {number}")


def sdk_events(url: str) -> Counter[tuple[Any, ...]]:
    """Read the whole stream the SDK's way, until it is quiet."""
    seen: Counter[tuple[Any, ...]] = Counter()

    async def read() -> None:
        async with connect(f"{url}/xrpc/com.atproto.sync.subscribeRepos?cursor=0", max_size=None) as connection:
            while True:
                try:
                    data = await asyncio.wait_for(connection.recv(), 3)
                except TimeoutError:
                    return
                frame = Frame.from_bytes(data)
                body, kind = frame.body, frame.type[1:]
                if kind != "commit":
                    seen[kind, body["did"], body["seq"]] += 1
                    continue
                blocks = CAR.from_bytes(body["blocks"]).blocks
                for op in body["ops"]:
                    cid = op.get("cid") and CID.decode(op["cid"])
                    assert cid is None or cid in blocks
                    key = (body["repo"], op["path"], body["rev"], op["action"], cid and str(cid), body["seq"])
                    seen["commit", *key] += 1

    asyncio.run(read())
    return seen


def test_every_event_of_a_pds_is_in_the_lake(atnet: Json, live: LiveLake) -> None:
    make_traffic(atnet)
    url = atnet["pds"].replace("http", "ws")
    feed = Firehose(url, dids=None)
    feed.cursor = 0
    feed._starts_over = True
    live.run(feed)
    rows = live.rows()
    told = Counter(
        (
            "commit",
            row["did"],
            f"{row['collection']}/{row['rkey']}",
            row["rev"],
            row["operation"],
            row["cid"],
            row["position"],
        )
        if row["kind"] == "commit"
        else (row["kind"], row["did"], row["position"])
        for row in rows
    )
    expected = sdk_events(url)
    assert {key[0] for key in expected} >= {"commit", "identity", "account"}
    assert told == expected
    assert Counter(row["kind"] for row in rows)["unreadable"] == 0
    operations = Counter(row["operation"] for row in live.folded().values())
    assert min(operations["create"], operations["update"], operations["delete"]) > 0
    newest = max((row for row in rows if row["text"] and "Grüße" in row["text"]), key=lambda row: row["position"])
    assert json.loads(newest["raw"])["text"] == newest["text"]


@pytest.fixture
def tap() -> str:
    program = os.environ.get("TAP") or shutil.which("tap-atproto")
    if not program:
        pytest.skip("no Tap: TAP does not name one (go install github.com/bluesky-social/indigo/cmd/tap@latest)")
    return program


@pytest.fixture
def tap_webhook(tmp_path: Path) -> Webhook:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    return Webhook(Spool(tmp_path / "spool.sqlite"), host="127.0.0.1", port=port, password="a secret of Tap")


def test_tap_itself_delivers_an_accounts_records(
    atnet: Json, live: LiveLake, tap: str, tap_webhook: Webhook, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "TAP_BIND": f"127.0.0.1:{port}",
        "TAP_DATABASE_URL": f"sqlite://{tmp_path}/tap.db",
        "TAP_PLC_URL": atnet["plc"],
        "TAP_RELAY_URL": atnet["pds"],
        "TAP_WEBHOOK_URL": f"http://{tap_webhook.service}/",
        "TAP_ADMIN_PASSWORD": "a secret of Tap",
    }
    did = atnet["accounts"]["ana"]["did"]
    with live.running(tap_webhook), (tmp_path / "tap.log").open("w") as log:
        process = subprocess.Popen([tap, "run"], env=environment, stdout=log, stderr=log)
        try:
            client = log_in(atnet, "ana")
            _add_repo(port, did)
            listed = _records(client, did)
            wait_until(lambda: tap_webhook.received >= len(listed), seconds=60)
            post = client.send_post(f"Through Tap, {time.time()}")
            client.delete_post(post.uri)
            wait_until(lambda: any(row["operation"] == "delete" for row in live.rows()), seconds=60)
        finally:
            process.terminate()
            process.wait()
    present = {row["uri"] for row in live.rows() if row["operation"] in ("create", "update")}
    assert present >= listed | {post.uri}
    assert {row["uri"] for row in live.rows() if row["operation"] == "delete"} == {post.uri}


def _add_repo(port: int, did: str) -> None:
    password = urllib.request.HTTPPasswordMgrWithPriorAuth()
    password.add_password(None, f"http://127.0.0.1:{port}/", "admin", "a secret of Tap", is_authenticated=True)
    opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(password))
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/repos/add",
        json.dumps({"dids": [did]}).encode(),
        {"Content-Type": "application/json"},
    )
    for _ in range(100):
        try:
            opener.open(request).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("Tap does not answer")


def _records(client: Client, did: str) -> set[str]:
    uris = set()
    for collection in client.com.atproto.repo.describe_repo({"repo": did}).collections:
        cursor = None
        while True:
            page = client.com.atproto.repo.list_records(
                {"repo": did, "collection": collection, "limit": 100, "cursor": cursor}
            )
            uris |= {record.uri for record in page.records}
            cursor = page.cursor
            if not cursor:
                break
    return uris
