"""The marts of a lake pulled from Bluesky's own server code: their counts are the AppView's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from pipelines.lake.bucket import PROJECT_ROOT
from pipelines.sources.bluesky import bluesky
from pipelines.sources.pull_run import PullRun

if TYPE_CHECKING:
    from tests.conftest import Lake

Json = dict[str, Any]
Row = tuple[Any, ...]


@pytest.fixture
def warehouse(atnet: Json, lake: Lake) -> duckdb.DuckDBPyConnection:
    """What `dbt build`, started by itself in dbt/, makes of a pull."""
    lake.pipeline().run(
        bluesky(
            service=atnet["appview"],
            plc_directory=atnet["plc"],
            starter_packs=[atnet["records"]["pack"]],
            requests_per_second=500.0,
            run=PullRun(),
        )
    )
    places = {"DLT_LOCAL_DIR": lake.folder, "DBT_TARGET_PATH": lake.folder / "target", "DBT_LOG_PATH": lake.folder}
    build = subprocess.run(
        [Path(sys.executable).with_name("dbt"), "build"],
        cwd=PROJECT_ROOT / "dbt",
        env=os.environ | {name: str(place) for name, place in places.items()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert build.returncode == 0, build.stdout
    return duckdb.connect(str(lake.folder / "_data" / "bluesky.duckdb"), read_only=True)


def feed_of(service: str, did: str) -> list[Json]:
    """Page a whole feed by hand."""
    items: list[Json] = []
    cursor: Json = {}
    while True:
        query = urllib.parse.urlencode({"actor": did, "limit": 100, **cursor})
        with urllib.request.urlopen(f"{service}/xrpc/app.bsky.feed.getAuthorFeed?{query}") as answer:
            page = json.load(answer)
        items += page["feed"]
        if "cursor" not in page:
            return items
        cursor = {"cursor": page["cursor"]}


def test_the_marts_hold_what_the_appview_shows(atnet: Json, warehouse: duckdb.DuckDBPyConnection) -> None:
    posts: set[Row] = set()
    reposts: set[Row] = set()
    for (did,) in warehouse.execute("select did from dim_authors where status = 'active'").fetchall():
        for item in feed_of(atnet["appview"], did):
            post, reason = item["post"], item.get("reason", {})
            if reason.get("$type") == "app.bsky.feed.defs#reasonRepost":
                reposts.add((reason["uri"], did, post["uri"]))
            else:
                counts = [post[f"{name}Count"] for name in ("like", "repost", "reply", "quote")]
                posts.add((post["uri"], post["cid"], did, *counts))
    assert len(posts) > 20
    columns = "post_uri, post_cid, author_did, like_count, repost_count, reply_count, quote_count"
    assert set(warehouse.execute(f"select {columns} from fct_posts").fetchall()) == posts
    assert set(warehouse.execute("select repost_uri, reposter_did, post_uri from fct_reposts").fetchall()) == reposts


def test_members_and_their_states_are_those_of_the_network(atnet: Json, warehouse: duckdb.DuckDBPyConnection) -> None:
    names = {account["did"]: name for name, account in atnet["accounts"].items()}
    rows = warehouse.execute("select did, status, is_publishable from dim_authors where is_member").fetchall()
    states = {names[did]: (status, is_publishable) for did, status, is_publishable in rows}
    assert len(states) == 12
    assert states["sleepy"] == ("deactivated", False)
    assert states["banned"] == states["modded"] == ("suspended", False)
    assert states["leaver"] == ("not_found", False)
    assert states["shy"] == ("active", False)
    assert states["ana"] == ("active", True)
