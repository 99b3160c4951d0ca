"""Members who rest, on the sample network and through dlt: what nights ask less for, and what of it is in the lake."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.sample.appview.server import SampleServer
from tests.conftest import isolated_lake

if TYPE_CHECKING:
    from pipelines.sample.world.world import World
    from tests.conftest import Lake, Pull

pytestmark = pytest.mark.slow  # Whose turn it is, test_turns.py tries by itself.

NIGHTS = 4


@pytest.fixture(scope="module")
def lakes(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """Pull the same nights twice: everybody each night, and with rest."""
    told = []
    for name, settings in (("all", {}), ("rest", {"ask_all_up_to": 0})):
        with isolated_lake(tmp_path_factory.mktemp(name)) as lake, SampleServer(world) as server:
            pulls: list[Pull] = []
            for day in range(1, NIGHTS + 1):
                server.day = day
                if day == 3:
                    shutil.rmtree(os.environ["DLT_DATA_DIR"])  # What is remembered is in the lake.
                pulls.append(lake.pull(server, **settings))
            told.append((pulls, *tables(lake)))
    return told[0], told[1]


def tables(lake: Lake) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    items = lake.query("select member_did, observed_at, item_uri, reason_type, item_indexed_at from author_feed")
    return items, lake.query("from feed_pulls")


def test_a_night_asks_for_fewer_feeds_and_every_post_is_there_the_same_night(lakes: tuple[Any, Any]) -> None:
    (all_pulls, all_items, all_claims), (rest_pulls, rest_items, rest_claims) = lakes
    assert all(pull.exit_code == 0 for pull in (*all_pulls, *rest_pulls))
    assert rest_pulls[0].requests == all_pulls[0].requests, "the first night asks everybody"
    for night in range(1, NIGHTS):
        assert rest_pulls[night].requests["getAuthorFeed"] < all_pulls[night].requests["getAuthorFeed"]
        assert rest_pulls[night].requests["getProfiles"] == all_pulls[night].requests["getProfiles"]

    def first_seen(items: list[dict[str, Any]]) -> dict[tuple[str, str], Any]:
        seen: dict[tuple[str, str], Any] = {}
        for row in sorted(items, key=lambda row: row["observed_at"]):
            seen.setdefault((row["member_did"], row["item_uri"]), row["observed_at"])
        return seen

    posts = [row for row in all_items if row["reason_type"] is None]
    assert first_seen(posts) == first_seen([row for row in rest_items if row["reason_type"] is None])
    keys = [(row["member_did"], row["observed_at"], row["item_uri"]) for row in rest_items]
    assert len(set(keys)) == len(keys)
    # What is observed anew, is so each night.
    assert {(row["member_did"], row["observed_at"], row["item_uri"]) for row in posts} == {
        (row["member_did"], row["observed_at"], row["item_uri"]) for row in rest_items if row["reason_type"] is None
    }
    everybody = {row["member_did"] for row in all_claims}
    assert {row["member_did"] for row in rest_claims} == everybody


def test_every_reading_makes_one_claim_and_nobody_else_any(lakes: tuple[Any, Any]) -> None:
    (_, _, all_claims), (rest_pulls, _, claims) = lakes
    nights = sorted({row["observed_at"] for row in claims})
    assert len(nights) == NIGHTS
    by_night = {night: [row["member_did"] for row in claims if row["observed_at"] == night] for night in nights}
    for night, pull in zip(nights, rest_pulls, strict=True):
        assert sorted(by_night[night]) == sorted(pull.run.asked)
    of_all = {(row["member_did"], row["observed_at"]): row for row in all_claims}
    for row in claims:
        truth = of_all[row["member_did"], row["observed_at"]]
        assert (row["outcome"], row["covered_to"], row["posts_count"]) == (
            truth["outcome"],
            truth["covered_to"],
            truth["posts_count"],
        )


def test_a_spread_first_night_reads_each_feed_once(lake: Lake, world: World, sample_server: SampleServer) -> None:
    walked: list[str] = []
    for day in (1, 2, 3):
        sample_server.day = day
        pull = lake.pull(sample_server, spread=3)
        assert pull.exit_code == 0
        walked += pull.run.asked
        assert len(pull.run.asked) < 0.5 * len(pull.run.followed)
    assert set(walked) >= pull.run.followed
