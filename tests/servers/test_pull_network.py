"""The pull against Bluesky's own server code: what lands equals what paging the API by hand gives."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt
import duckdb
import pytest

from pipelines.sources.bluesky import PullRun, bluesky

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
def pulled(atnet: Json, lake: Path) -> tuple[PullRun, duckdb.DuckDBPyConnection]:
    run = PullRun()
    pipeline = dlt.pipeline("bluesky")
    pipeline.run(
        bluesky(
            service=atnet["appview"],
            plc_directory=atnet["plc"],
            starter_packs=[atnet["records"]["pack"]],
            requests_per_second=500.0,
            run=run,
        )
    )
    tables = duckdb.connect()
    for table in ("starter_packs", "starter_pack_members", "author_feed", "feed_pulls"):
        tables.execute(f"create view {table} as from '{lake}/bluesky/{table}/*/*.parquet'")
    return run, tables


def test_members_and_outcomes_are_those_of_the_network(
    atnet: Json, pulled: tuple[PullRun, duckdb.DuckDBPyConnection]
) -> None:
    run, tables = pulled
    listed = {
        item["subject"]["did"]
        for item in pages(atnet["appview"], "app.bsky.graph.getList", "items", list=atnet["records"]["list"])
    }
    assert len(listed) == 8
    members = dict(tables.sql("select did, is_listed from starter_pack_members").fetchall())
    assert {did for did, is_listed in members.items() if is_listed} == listed
    hidden = {atnet["accounts"][name]["did"] for name in ("sleepy", "banned", "modded", "leaver")}
    assert set(members) == listed | hidden
    assert tables.sql("select list_item_count, is_membership_complete from starter_packs").fetchall() == [(12, True)]
    assert run.outcomes == Counter(ok=8, suspended=2, deactivated=1, not_found=1)
    outcomes = dict(tables.sql("select member_did, outcome from feed_pulls where outcome <> 'ok'").fetchall())
    names = {account["did"]: name for name, account in atnet["accounts"].items()}
    assert {names[did]: outcome for did, outcome in outcomes.items()} == {
        "sleepy": "deactivated",
        "banned": "suspended",
        "modded": "suspended",
        "leaver": "not_found",
    }


def test_feed_items_are_those_of_the_network(
    atnet: Json, pulled: tuple[PullRun, duckdb.DuckDBPyConnection]
) -> None:
    _, tables = pulled
    expected = {}
    for (did,) in tables.sql("select did from starter_pack_members where is_listed").fetchall():
        for item in pages(atnet["appview"], "app.bsky.feed.getAuthorFeed", "feed", actor=did):
            uri = item["reason"]["uri"] if "reason" in item else item["post"]["uri"]
            expected[did, uri] = item
    landed = {
        (did, uri): json.loads(raw)
        for did, uri, raw in tables.sql("select member_did, item_uri, raw from author_feed").fetchall()
    }
    assert landed == expected
    assert len(landed) > 230


def test_odd_records_land_with_raw(atnet: Json, pulled: tuple[PullRun, duckdb.DuckDBPyConnection]) -> None:
    _, tables = pulled
    rows = {
        uri: (embed_type, created_at, media, json.loads(raw)["post"]["record"])
        for uri, embed_type, created_at, media, raw in tables.sql(
            "select item_uri, embed_type, created_at::varchar, media, raw from author_feed"
        ).fetchall()
    }
    records = atnet["records"]
    assert rows[records["hologram"]][0] == "com.example.embed.hologram"
    assert rows[records["hologram"]][3]["embed"]["depth"] == 3
    assert rows[records["extra"]][3]["com.example.extra"] == {"a": [1, 2, 3]}
    assert rows[records["gallery"]][0] == "app.bsky.embed.gallery"
    assert rows[records["gallery"]][2] == [{"kind": "image", "alt": "dark"}]
    assert rows[records["offset"]][1] == "2024-06-01 06:30:00+00"
