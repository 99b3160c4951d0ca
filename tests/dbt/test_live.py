"""Pull and stream together over days of the sample: the marts equal the world, with deletions exact to the second."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import yaml

from pipelines import live
from pipelines.events.stream import StreamLimits
from pipelines.lake.bucket import PROJECT_ROOT
from pipelines.lake.tables import LIVE_TABLES
from pipelines.sample.world.days import evening, slot_of
from pipelines.sample.world.truth import ACTIVE, POST, REPOST, AccountEvent, IdentityEvent, RecordEvent
from tests.dbt.test_schemas import duckdb_type
from tests.dbt.warehouses import Warehouse, new_project

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from pipelines.sample.world.world import World

FIRST_DAY, LAST_DAY = 2, 6


@pytest.fixture(scope="module")
def pulled_and_streamed(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Warehouse:
    """Days 2 to 6: each day is streamed, then pulled; the last day's stream is not pulled any more."""
    warehouse = Warehouse(new_project(tmp_path_factory.mktemp("live") / "project", parsed_project))
    for day in range(FIRST_DAY, LAST_DAY + 1):
        if day > FIRST_DAY:
            with warehouse._settings():
                quick = StreamLimits(quiet_seconds=0.4)
                assert live.main(["jetstream", "--sample", "--until-caught-up"], limits=quick) == 0
        if day < LAST_DAY:
            warehouse.pull(day)
    warehouse.dbt("run")
    return warehouse


@pytest.fixture(scope="module")
def members(pulled_and_streamed: Warehouse) -> set[str]:
    """Whoever was followed as long as they were in a pack."""
    rows = pulled_and_streamed.rows("""
        select did from stg_bluesky__starter_pack_members
        group by did having bool_and(coalesce(hidden_because, 'unavailable') = 'unavailable')
    """)
    return {did for (did,) in rows}


def events(world: World) -> list[RecordEvent | IdentityEvent | AccountEvent]:
    return list(world.events(evening(FIRST_DAY) + timedelta(seconds=1), evening(LAST_DAY)))


@pytest.mark.slow
def test_a_deletion_is_known_to_the_second(pulled_and_streamed: Warehouse, world: World, members: set[str]) -> None:
    expected = {
        (f"at://{event.did}/{event.collection}/{event.rkey}", event.at)
        for event in events(world)
        if isinstance(event, RecordEvent)
        and event.operation == "delete"
        and event.collection == POST
        and event.did in members
    }
    assert expected
    told = pulled_and_streamed.rows("""
        select subject_uri, missed_at from int_deletions where subject_type = 'post' and evidence = 'delete_event'
    """)
    assert {(uri, at) for uri, at in told if uri.split("/")[2] in members} == expected
    deleted = pulled_and_streamed.rows("select post_uri, deleted_before from fct_posts where is_deleted")
    assert set(deleted) >= expected


@pytest.mark.slow
def test_every_post_of_the_streamed_days_is_there_once(pulled_and_streamed: Warehouse, world: World) -> None:
    created = {
        f"at://{event.did}/{POST}/{event.rkey}"
        for event in events(world)
        if isinstance(event, RecordEvent)
        and event.operation == "create"
        and event.collection == POST
        and event.did in followed(world, slot_of(event.at) - 1)
    }
    rows = pulled_and_streamed.rows("select post_uri, is_deleted from fct_posts")
    assert len(rows) == len({uri for uri, _ in rows})
    assert {uri for uri, _ in rows} >= created
    gone = {
        f"at://{event.did}/{POST}/{event.rkey}"
        for event in events(world)
        if isinstance(event, RecordEvent) and event.operation == "delete" and event.collection == POST
    }
    assert {uri for uri, is_deleted in rows if is_deleted} & created == gone & created


def followed(world: World, day: int) -> set[str]:
    """Tell who was followed when the pull of that day looked."""
    return set(world.on(day).followed(*(pack.list for pack in world.packs)))


@pytest.mark.slow
def test_the_last_version_told_is_the_latest(pulled_and_streamed: Warehouse, world: World, members: set[str]) -> None:
    """Whether a pull saw it since or not."""
    written = [
        event
        for event in events(world)
        if isinstance(event, RecordEvent)
        and event.operation in {"create", "update"}
        and event.collection == POST
        and event.did in members
    ]
    assert any(event.operation == "update" for event in written)
    told = {f"at://{event.did}/{POST}/{event.rkey}": event.cid for event in written}
    rows: dict[str, str] = dict(
        pulled_and_streamed.rows("select post_uri, post_cid from fct_posts where not is_deleted")
    )
    assert {uri: cid for uri, cid in rows.items() if uri in told} == {
        uri: cid for uri, cid in told.items() if uri in rows
    }


@pytest.mark.slow
def test_a_repost_is_there_before_a_pull_sees_it(
    pulled_and_streamed: Warehouse, world: World, members: set[str]
) -> None:
    told: dict[str, set[str]] = {"create": set(), "delete": set()}
    for event in events(world):
        if isinstance(event, RecordEvent) and event.collection == REPOST and event.at > evening(LAST_DAY - 1):
            told[event.operation].add(f"at://{event.did}/{REPOST}/{event.rkey}")
    followed_now = followed(world, LAST_DAY - 1)
    made = {uri for uri in told["create"] if uri.split("/")[2] in followed_now & members}
    assert made
    rows = pulled_and_streamed.rows("select repost_uri, is_gone from fct_reposts")
    assert len(rows) == len({uri for uri, _ in rows})
    assert {uri for uri, _ in rows} >= made
    assert {uri for uri, is_gone in rows if is_gone} & made == told["delete"] & made


@pytest.mark.slow
def test_counts_are_unknown_until_a_pull_and_never_zero(pulled_and_streamed: Warehouse) -> None:
    heard = pulled_and_streamed.rows("""
        select fct_posts.like_count, fct_posts.engagement_count
        from fct_posts
        inner join int_live_posts using (post_uri)
        where not int_live_posts.is_pulled
    """)
    assert heard
    assert set(heard) == {(None, None)}


@pytest.mark.slow
def test_handles_and_states_have_their_times(pulled_and_streamed: Warehouse, world: World, members: set[str]) -> None:
    """A handle that no pull has seen yet is nobody's."""
    claims = [event for event in events(world) if isinstance(event, IdentityEvent) and event.did in members]
    spans = {
        (did, handle): at
        for did, handle, at in pulled_and_streamed.rows("select did, handle, handle_from from int_handle_spans")
    }
    assert claims
    for event in claims:
        is_pulled_since = event.at <= evening(LAST_DAY - 1)
        assert spans.get((event.did, event.handle)) == (event.at if is_pulled_since else None)
    last = {event.did: event for event in events(world) if isinstance(event, AccountEvent) and event.did in members}
    states: dict[str, datetime] = dict(
        pulled_and_streamed.rows("select did, unavailable_at from int_author_availability where not is_available")
    )
    assert {did: states[did] for did, event in last.items() if event.status != ACTIVE} == {
        did: event.at for did, event in last.items() if event.status != ACTIVE
    }


@pytest.mark.slow
def test_loads_are_those_of_the_pull(pulled_and_streamed: Warehouse) -> None:
    counts = pulled_and_streamed.rows("select feed_pull_rows, ok_count from fct_loads")
    assert len(counts) == LAST_DAY - FIRST_DAY
    assert all(pulled and ok for pulled, ok in counts)


@pytest.mark.slow
def test_a_full_refresh_gives_the_same_rows(pulled_and_streamed: Warehouse) -> None:
    """Models of the live job, incremental and rebuilt."""
    tables = ("stg_bluesky__repo_events", "int_live_posts", "int_deletions", "rpt_live_languages")
    once = {table: rows(pulled_and_streamed, table) for table in tables}
    with pulled_and_streamed._settings():
        assert live.main(["compact"]) == 0
    pulled_and_streamed.dbt("run")
    assert {table: rows(pulled_and_streamed, table) for table in tables} == once


def rows(warehouse: Warehouse, table: str) -> list[tuple[object, ...]]:
    bookkeeping = "batch_number, source_file, file_row_number, load_id"
    kept = {"stg_bluesky__repo_events": bookkeeping, "int_live_posts": "source_file, file_row_number"}
    exclude = f"exclude ({kept[table]})" if table in kept else ""
    return warehouse.rows(f"select * {exclude} from {table} order by all")


def test_the_live_sources_are_the_raw_layer() -> None:
    text = (PROJECT_ROOT / "dbt" / "models" / "staging" / "_bluesky__sources.yml").read_text()
    declared = {
        table["name"]: [(column["name"], column["data_type"]) for column in table["columns"]]
        for table in yaml.safe_load(text)["sources"][0]["tables"]
        if table["name"] in {table.name for table in LIVE_TABLES}
    }
    assert declared == {
        table.name: [
            *((column.name, duckdb_type(column.type)) for column in table.schema),
            ("_dlt_load_id", "varchar"),
        ]
        for table in LIVE_TABLES
    }
