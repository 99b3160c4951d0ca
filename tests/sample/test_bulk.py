"""The bulk world: as many items as asked for, each once, on any day."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pipelines.sample.appview.bulk import BulkWorld
from pipelines.sample.appview.server import SampleServer

if TYPE_CHECKING:
    from collections.abc import Callable

    Ask = Callable[..., tuple[int, dict[str, Any]]]

FEED = "app.bsky.feed.getAuthorFeed"


@pytest.mark.parametrize(("day", "limit"), [(1, 100), (1, 7), (3, 100)])
def test_feeds_have_the_items_that_were_asked_for(ask: Ask, day: int, limit: int) -> None:
    from atproto_client import models  # noqa: PLC0415 - takes seconds, which workers without this test need not spend

    world = BulkWorld(members=3, posts_per_member=250, posts_per_day=10)
    with SampleServer(world, day) as server:
        _, members = ask(server, "app.bsky.graph.getList", list=world.packs[0].list.uri)
        uris: set[str] = set()
        for member in members["items"]:
            indexed: list[str] = []
            params = {"actor": member["subject"]["did"], "limit": limit}
            while True:
                _, page = ask(server, FEED, **params)
                models.AppBskyFeedGetAuthorFeed.Response.model_validate(page)
                uris |= {(item.get("reason") or item["post"])["uri"] for item in page["feed"]}
                indexed += [(item.get("reason") or item["post"])["indexedAt"] for item in page["feed"]]
                if "cursor" not in page:
                    break
                params["cursor"] = page["cursor"]
            assert len(indexed) == 250 + (day - 1) * 10
            assert indexed == sorted(indexed, reverse=True)
            assert indexed[0] < world.on(day).now.isoformat()
        assert len(uris) == 3 * (250 + (day - 1) * 10)


def test_a_new_day_adds_to_the_day_before(ask: Ask) -> None:
    world = BulkWorld(members=1, posts_per_member=60, posts_per_day=5)
    did = next(iter(world.actors))
    seen = []
    with SampleServer(world) as server:
        for server.day in (1, 2):
            _, page = ask(server, FEED, actor=did, limit=100)
            seen.append([(item.get("reason") or item["post"])["uri"] for item in page["feed"]])
    assert seen[1][5:] == seen[0]


@pytest.mark.parametrize("day", [1, 4])
def test_profiles_count_the_posts_of_their_feeds_and_who_is_silent_stays_so(ask: Ask, day: int) -> None:
    world = BulkWorld(members=7, posts_per_member=90, posts_per_day=3, has_silent=True)
    with SampleServer(world, day) as server:
        for number, did in enumerate(world.actors):
            _, page = ask(server, FEED, actor=did, limit=100)
            own = [item["post"] for item in page["feed"] if "reason" not in item]
            assert {post["author"]["did"] for post in own} == {did}
            _, profile = ask(server, "app.bsky.actor.getProfile", actor=did)
            assert profile["postsCount"] == len(own) < len(page["feed"])
            newest = page["feed"][0].get("reason") or page["feed"][0]["post"]
            silent_days = world.silent_days(number)
            assert (
                newest["indexedAt"][:10] == world.on(day if not silent_days else 1 - silent_days).now.isoformat()[:10]
            )
