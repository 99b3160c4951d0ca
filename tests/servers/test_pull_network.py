"""The pull against Bluesky's own server code: what lands equals what paging the API by hand gives."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.sources.bluesky import bluesky
from pipelines.sources.pull_run import PullRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Lake

Json = dict[str, Any]


def ask(service: str, nsid: str, **params: str | int) -> Json:
    with urllib.request.urlopen(f"{service}/xrpc/{nsid}?{urllib.parse.urlencode(params)}") as answer:
        body: Json = json.load(answer)
        return body


def pages(service: str, nsid: str, key: str, **params: str | int) -> Iterator[Json]:
    cursor: Json = {}
    while True:
        page = ask(service, nsid, limit=100, **params, **cursor)
        yield from page[key]
        if "cursor" not in page:
            return
        cursor = {"cursor": page["cursor"]}


@pytest.fixture
def pulled(atnet: Json, lake: Lake) -> PullRun:
    run = PullRun()
    lake.pipeline().run(
        bluesky(
            service=atnet["appview"],
            plc_directory=atnet["plc"],
            starter_packs=[atnet["records"]["pack"]],
            requests_per_second=500.0,
            run=run,
        )
    )
    return run


def test_members_and_outcomes_are_those_of_the_network(atnet: Json, lake: Lake, pulled: PullRun) -> None:
    listed = {
        item["subject"]["did"]
        for item in pages(atnet["appview"], "app.bsky.graph.getList", "items", list=atnet["records"]["list"])
    }
    assert len(listed) == 8
    members = {row["did"]: row["is_listed"] for row in lake.query("from starter_pack_members")}
    assert {did for did, is_listed in members.items() if is_listed} == listed
    hidden = {atnet["accounts"][name]["did"] for name in ("sleepy", "banned", "modded", "leaver")}
    assert set(members) == listed | hidden
    [pack] = lake.query("from starter_packs")
    assert (pack["list_item_count"], pack["is_membership_complete"]) == (12, True)
    assert pulled.outcomes == Counter(ok=8, suspended=2, deactivated=1, not_found=1)
    names = {account["did"]: name for name, account in atnet["accounts"].items()}
    assert {
        names[row["member_did"]]: row["outcome"] for row in lake.query("from feed_pulls where outcome <> 'ok'")
    } == {
        "sleepy": "deactivated",
        "banned": "suspended",
        "modded": "suspended",
        "leaver": "not_found",
    }


@pytest.mark.usefixtures("pulled")
def test_feed_items_are_those_of_the_network(atnet: Json, lake: Lake) -> None:
    expected = {}
    for member in lake.query("from starter_pack_members where is_listed"):
        for item in pages(atnet["appview"], "app.bsky.feed.getAuthorFeed", "feed", actor=member["did"]):
            uri = item["reason"]["uri"] if "reason" in item else item["post"]["uri"]
            expected[member["did"], uri] = item
    landed = {(row["member_did"], row["item_uri"]): json.loads(row["raw"]) for row in lake.query("from author_feed")}
    assert landed == expected
    assert len(landed) > 230


@pytest.mark.usefixtures("pulled")
def test_odd_records_land_with_raw(atnet: Json, lake: Lake) -> None:
    rows = {row["item_uri"]: row for row in lake.query("from author_feed")}
    hologram, extra, gallery, offset = (
        rows[atnet["records"][key]] | {"record": json.loads(rows[atnet["records"][key]]["raw"])["post"]["record"]}
        for key in ("hologram", "extra", "gallery", "offset")
    )
    assert hologram["embed_type"] == "com.example.embed.hologram"
    assert hologram["record"]["embed"]["depth"] == 3
    assert extra["record"]["com.example.extra"] == {"a": [1, 2, 3]}
    assert gallery["embed_type"] == "app.bsky.embed.gallery"
    assert gallery["media"] == [{"kind": "image", "alt": "dark"}]
    assert offset["created_at"] == datetime(2024, 6, 1, 6, 30, tzinfo=UTC)
