"""Ten nights, events, a compaction and the marts: somebody is forgotten over all of it, and again from caches."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import duckdb
import pytest

from pipelines import forgetting
from pipelines.lake.scrubbing import FORGOTTEN_DID
from pipelines.sample.appview.server import SampleServer
from tests.dbt_command import run_dbt
from tests.forgetting.lakes import forget, found_in, load_events, person

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.world.world import World
    from tests.conftest import Lake

WHOSE = "(select distinct member_did from int_feed_items where member_did not in ($1, $2))"
COUNTS = (
    "select post_uri, author_did, created_at, is_reply, is_quote, text, is_deleted, is_in_doubt from fct_posts"
    f" where author_did in {WHOSE} order by all",
    "select repost_uri, reposter_did, reposted_at, is_gone from fct_reposts"
    f" where reposter_did in {WHOSE} order by all",
    "select did, date_day, post_count, reply_count, quote_count, repost_count from fct_author_days"
    f" where did in {WHOSE} and did in (select did from bridge_pack_members where pack_uri = $3) order by all",
)


def build(lake: Lake) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_TARGET_PATH", str(lake.folder / "target"))
        patch.setenv("DBT_LOG_PATH", str(lake.folder / "logs"))
        outcome = run_dbt("build", "--exclude-resource-type=unit_test")
    assert outcome.success, outcome.exception or [r for r in outcome.result if r.status not in ("success", "pass")]  # type: ignore[union-attr]


def counted(warehouse: Path, did: str, pack_uri: str) -> list[list[tuple[object, ...]]]:
    with duckdb.connect(str(warehouse), read_only=True) as marts:
        asked = ([did, FORGOTTEN_DID], [did, FORGOTTEN_DID], [did, FORGOTTEN_DID, pack_uri])
        return [marts.execute(*query).fetchall() for query in zip(COUNTS, asked, strict=True)]


def unnamed(rows: list[tuple[object, ...]], strings: tuple[str, ...]) -> list[tuple[object, ...]]:
    """Leave mentions of the handle out of others' texts."""
    mention = f"@{strings[2]}"
    return [
        tuple(value.replace(mention, "_" * len(mention)) if isinstance(value, str) else value for value in row)
        for row in rows
    ]


@pytest.mark.slow
def test_a_person_is_forgotten_over_ten_nights(lake: Lake, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "PROJECT_ROOT", lake.folder)
    warehouse = lake.folder / "_data" / "bluesky.duckdb"
    seeds = {"starter_packs": [pack.uri for pack in world.packs], "actors": [world.actor("bia").did]}
    with SampleServer(world) as server:
        for day in range(1, 11):
            server.day = day
            lake.pull(server, **seeds)
        load_events(world, 10, 3_000)
        build(lake)
        # Who is in their pack alone is no member any more: the counts are those of the other pack.
        did, pack_uri = world.actor("mikkel").did, world.packs[0].uri
        theirs, before = person(world, lake, did), counted(warehouse, did, pack_uri)
        assert all(before)
        old = lake.folder.with_name("old.duckdb")
        shutil.copy(warehouse, old)

        assert forget(theirs.strings[2]) == 0
        build(lake)
        assert found_in(lake.folder, theirs.strings) == []
        for ours, theirs_out in zip(before, counted(warehouse, did, pack_uri), strict=True):
            assert unnamed(theirs_out, theirs.strings) == unnamed(ours, theirs.strings)

        shutil.copy(old, warehouse)
        server.day = 11
        lake.pull(server, **seeds)
        build(lake)
        assert found_in(lake.folder, theirs.strings) == []
        assert len(counted(warehouse, did, pack_uri)[1]) >= len(before[1])
