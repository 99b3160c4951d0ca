"""The nightly's own steps, night after night, each on a runner that has nothing but the repository and its secrets."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest

from pipelines.sample.appview.server import SampleServer
from tests.browser import needs_browser
from tests.nightly.runner import STEPS, Runner
from tests.seeds import RARE

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.world.world import World
    from tests.nightly.conftest import Bucket

ONLY_MODELS = {"DBT_EXCLUDE_RESOURCE_TYPES": "test unit_test"}
"""dbt's own tests have a test of their own."""


def settings_of(server: SampleServer) -> dict[str, str]:
    """Make the lines of `.dlt/config.toml` that a fork changes: whom to ask, and for whom."""
    return {
        "service = ": f'service = "{server.url}"',
        "plc_directory = ": f'plc_directory = "{server.url}"',
        "starter_packs = ": f"starter_packs = {json.dumps([pack.uri for pack in server.world.packs])}",
        "requests_per_second = ": "requests_per_second = 1000.0",
        "catch_up = ": "catch_up = false",
    }


def items_of(world: World, day: int) -> dict[tuple[str, str], bool]:
    """Give everything in the members' feeds on a day, and whether it is so new that every night looks for it."""
    seen = world.on(day)
    members = seen.followed(*(pack.list for pack in world.packs))
    return {(did, item.uri): item.item_at > seen.now - timedelta(days=2) for did in members for item in seen.feed(did)}


def feed_pages(server: SampleServer, since: int = 0) -> int:
    return sum(request.nsid == "app.bsky.feed.getAuthorFeed" for request in server.requests[since:])


def stored_items(bucket: Bucket) -> set[tuple[str, str]]:
    lake = bucket.lake / "bluesky" / "author_feed" / "**" / "*.parquet"
    with duckdb.connect() as connection:
        rows = connection.execute("select distinct member_did, item_uri from read_parquet($1)", [str(lake)])
        return set(rows.fetchall())


def kept_item_count(bucket: Bucket) -> int:
    """Count the items in the warehouse that the last night kept."""
    with duckdb.connect(str(bucket.lake / "warehouse" / "bluesky.duckdb"), read_only=True) as kept:
        (count,) = kept.execute("select count(*) from int_feed_items").fetchall()[0]
    return int(count)


@pytest.mark.slow
@needs_browser
def test_nights_on_new_runners_with_nothing_but_the_bucket(world: World, bucket: Bucket, tmp_path: Path) -> None:
    with SampleServer(world) as server:

        def runner(day: int) -> Runner:
            server.day = day
            return Runner(tmp_path / f"night {day}", settings_of(server), bucket.secrets, environment=ONLY_MODELS)

        first = runner(1)
        outcomes = first.run()
        assert "failure" not in outcomes.values(), first.log
        pages_of_first = feed_pages(server)

        second = runner(2)
        asked = len(server.requests)
        outcomes = second.run(kills="Pull", when=lambda: feed_pages(server, asked) > 10)
        assert outcomes["Pull"] == "failure"
        assert outcomes["Build"] == "skipped"
        assert outcomes["Summary"] == "success", "a bad night, too, has a summary"

        third = runner(3)
        asked = len(server.requests)
        outcomes = third.run()
        assert "failure" not in outcomes.values(), third.log
        assert feed_pages(server, asked) < pages_of_first / 2, "the feeds are not read anew"

    stored = stored_items(bucket)
    before, now = items_of(world, 1), items_of(world, 3)
    assert {item for item, is_new in now.items() if is_new} | before.keys() <= stored
    assert stored <= before.keys() | items_of(world, 2).keys() | now.keys()
    assert kept_item_count(bucket) == len(stored)

    checkout = third.checkout
    assert "Fetched the warehouse" in "".join(third.log)
    assert (checkout / "site" / "index.html").read_bytes() == (checkout / "_data" / "report.html").read_bytes()
    assert (checkout / "site" / "dbt" / "index.html").exists()
    assert (checkout / "site" / "digest.xml").exists()
    assert json.loads(third.outputs["site"]["digest"]).startswith("The week to ")
    assert sorted(path.name for path in (checkout / "artifact").iterdir()) == [
        "bluesky-reports.duckdb",
        "digest.md",
        "digest.xml",
        "report.html",
    ], "the whole warehouse is not for everybody"
    assert "items" in third.summary()
    for secret in bucket.secrets.values():
        assert secret == "auto" or secret.strip() not in third.summary()


def test_a_mock_cache_that_gives_nothing_of_what_it_has_ends_the_night_before_the_pull(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "lake").touch()
    with SampleServer(world) as server:
        night = Runner(tmp_path / "night", settings_of(server), cache=tmp_path / "cache")
        night.is_cache_down = True
        outcomes = night.run()
        assert outcomes["See that the cache gave what it has"] == "failure"
        assert outcomes["Pull"] == outcomes["Keep the lake in the cache"] == "skipped", "no empty lake takes its place"


@pytest.mark.slow
def test_fork_without_settings_keeps_its_lake_in_a_mock_cache_through_a_bad_night(world: World, tmp_path: Path) -> None:
    with SampleServer(world) as server:

        def runner(day: int) -> Runner:
            server.day = day
            return Runner(tmp_path / f"night {day}", settings_of(server), cache=tmp_path / "cache")

        outcomes = runner(1).run(kills="Freshness")
        assert outcomes["Pull"] == "success"
        assert outcomes["Keep the lake in the cache"] == "success"
        pages_of_first = feed_pages(server)

        asked = len(server.requests)
        assert runner(2).run(kills="Freshness")["Pull"] == "success"
        assert feed_pages(server, asked) < pages_of_first / 2, "the feeds are not read anew"

        night = runner(3)
        night.is_cache_down = True
        outcomes = night.run()
        assert outcomes["See that the cache gave what it has"] == "failure"
        assert outcomes["Pull"] == outcomes["Keep the lake in the cache"] == "skipped", "no empty lake takes its place"


@needs_browser
@pytest.mark.parametrize(
    "steps",
    [
        pytest.param(("Pull", "Build", "Keep the warehouse"), marks=pytest.mark.slow, id="some"),
        pytest.param(STEPS, marks=RARE, id="all"),
    ],
)
def test_a_night_that_is_killed_in_any_step_leaves_the_next_able_to_finish(
    world: World, bucket: Bucket, tmp_path: Path, steps: tuple[str, ...]
) -> None:
    with SampleServer(world) as server:

        def runner(day: int) -> Runner:
            server.day = day
            return Runner(tmp_path / f"night {day}", settings_of(server), bucket.secrets, environment=ONLY_MODELS)

        for day, step in enumerate(steps, 1):
            night = runner(day)
            asked, data = len(server.requests), night.checkout / "_data"
            in_the_middle = {
                "Pull": lambda asked=asked: feed_pages(server, asked) > 10,
                "Build": lambda data=data: (data / "bluesky.duckdb.wal").exists(),
            }
            outcomes = night.run(kills=step, when=in_the_middle.get(step, lambda: True))
            assert [name for name, outcome in outcomes.items() if outcome == "failure"] == [step], night.log

        last_day = len(steps) + 1
        last = runner(last_day)
        outcomes = last.run()
        assert "failure" not in outcomes.values(), last.log

    stored = stored_items(bucket)
    # The first night that came to the end of its pull saw everything; those after it, what was new.
    assert items_of(world, steps.index("Pull") + 2).keys() <= stored
    assert {item for item, is_new in items_of(world, last_day).items() if is_new} <= stored
    assert kept_item_count(bucket) == len(stored)
    assert (last.checkout / "site" / "index.html").exists()
