"""Of a deleted post its words go, out of rows and of others' views of it; what stands beside stays as it was."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from dlt.common.configuration.exceptions import ConfigurationValueError
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from pipelines.lake.deleted_posts import DeletedPosts
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.lake.lease import lease
from pipelines.lake.scrubbing import table_of
from pipelines.lake.tables import AUTHOR_FEED, PROFILES, RECORD_CHECKS, REPO_EVENTS, RawTable
from pipelines.lake.working_folder import open_pipeline
from pipelines.retention import configured_retention, keep_no_longer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Lake

AUTHOR, OTHER = "did:plc:mpyqgmifpweqk32rnmzeisfp", "did:plc:sacypzhn6s6cudpvtzs22c64"
GONE = f"at://{AUTHOR}/app.bsky.feed.post/3lgone2gone2g"
STAYS = f"at://{OTHER}/app.bsky.feed.post/3lstays2stays"
SAME_KEY = f"at://{OTHER}/app.bsky.feed.post/3lgone2gone2g"
WORDS = "their words, which nobody is to read"
POSTS = DeletedPosts([GONE])
NOW = datetime(2026, 3, 9, tzinfo=UTC)

strings = st.text(max_size=8) | st.sampled_from([GONE, STAYS, SAME_KEY, "3lgone2gone2g", "app.bsky.feed.post"])
keys = st.sampled_from(["uri", "cid", "$type", "record", "text"]) | st.text(max_size=4)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | strings,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


def expected(value: Any) -> Any:
    match value:
        case list():
            return [expected(inner) for inner in value]
        case dict() if value.get("uri") == GONE:
            return {name: value[name] for name in ("$type", "uri", "cid") if name in value}
        case dict():
            return {name: expected(inner) for name, inner in value.items()}
    return value


@given(values, st.booleans())
def test_a_view_of_it_keeps_its_address_alone_and_all_else_is_as_it_was(value: Any, is_ascii: bool) -> None:
    raw = json.dumps(value, ensure_ascii=is_ascii)
    after = POSTS.json(raw)
    assert after is not None
    assert json.loads(after) == expected(value)
    if expected(value) == value:
        assert after == raw, "byte for byte"
    assert POSTS.json(after) == after


def view(uri: str, **more: Any) -> dict[str, Any]:
    return {"uri": uri, "cid": "bafy1", "author": {"did": AUTHOR}, "value": {"text": WORDS}, **more}


@pytest.mark.parametrize(
    "item",
    [
        {"post": view(STAYS, embed={"record": view(GONE)})},
        {"post": view(STAYS, embed={"media": {}, "record": {"record": view(GONE)}})},
        {"post": view(STAYS, embed={"record": view(STAYS, embeds=[{"record": view(GONE)}])})},
        {"post": view(STAYS), "reply": {"parent": view(GONE), "root": view(GONE)}},
    ],
)
def test_nested_views_are_found(item: dict[str, Any]) -> None:
    kept = json.loads(POSTS.json(json.dumps(item)) or "")
    assert kept == expected(item)
    assert json.dumps(kept).count(WORDS) == json.dumps(item).count(WORDS) - json.dumps(item).count(GONE)


@pytest.mark.parametrize("author", [AUTHOR, "nils.example.org"])
@pytest.mark.parametrize(
    "address",
    [
        "https://bsky.app/profile/{}/post/3lgone2gone2g",
        "https://embed.bsky.app/embed/{}/app.bsky.feed.post/3lgone2gone2g?id=1",
        "https://skyview.social/?url=https%3A%2F%2Fbsky.app%2Fprofile%2F{}%2Fpost%2F3lgone2gone2g&viewtype=tree",
        "https://a.test/at://{}/app.bsky.feed.post/3lgone2gone2g",
        "at://{}/app.bsky.feed.post/3lgone2gone2g",
    ],
)
def test_a_link_to_it_loses_its_card(author: str, address: str) -> None:
    card = {"uri": address.format(author), "title": "Nils", "description": WORDS}
    raw = json.dumps({"embed": {"$type": "app.bsky.embed.external", "external": card}})
    columns = {"link_uri": card["uri"], "link_title": "Nils", "link_description": WORDS, "text": "so", "raw": raw}
    after = POSTS.row(REPO_EVENTS, row(REPO_EVENTS, uri=STAYS, **columns))
    assert WORDS not in str(after)
    assert (after["link_uri"], after["link_title"], after["text"]) == (card["uri"], None, "so")


@pytest.mark.parametrize("address", [f"https://bsky.app/profile/{OTHER}/post/3lgone2gone2g", SAME_KEY])
def test_somebody_else_may_have_a_post_of_the_same_key(address: str) -> None:
    raw = json.dumps({"external": {"uri": address, "title": "mine"}})
    before = row(AUTHOR_FEED, post_uri=SAME_KEY, post_cid="bafy2", text="mine", link_uri=address, raw=raw)
    assert POSTS.row(AUTHOR_FEED, before) is before


def row(table: RawTable, **columns: Any) -> dict[str, Any]:
    return dict.fromkeys(table.schema.names) | columns


def test_of_its_own_rows_the_fact_stays() -> None:
    fact = {"post_uri": GONE, "item_uri": GONE, "created_at": NOW, "reply_parent_uri": STAYS, "langs": ["en"]}
    fact |= {"quoted_uri": STAYS, "embed_type": "app.bsky.embed.record", "like_count": 3, "issues": ["$.x: no"]}
    words = {"post_cid": "bafy1", "text": WORDS, "tags": ["a"], "facets": [{"feature": "tag"}], "media": [{}]}
    words |= {"link_uri": "https://x", "link_title": "x", "link_description": "x", "self_labels": ["y"]}
    after = POSTS.row(AUTHOR_FEED, row(AUTHOR_FEED, **fact, **words, raw=json.dumps({"post": view(GONE)})))
    assert after == row(AUTHOR_FEED, **fact)
    assert POSTS.row(AUTHOR_FEED, after) is after


def test_a_repost_keeps_what_the_reposter_did() -> None:
    reason = {"$type": "app.bsky.feed.defs#reasonRepost", "by": {"did": OTHER}}
    raw = json.dumps({"post": view(GONE), "reason": reason})
    after = POSTS.row(AUTHOR_FEED, row(AUTHOR_FEED, post_uri=GONE, reason_type="repost", text=WORDS, raw=raw))
    assert after["text"] is None
    assert json.loads(after["raw"]) == {"post": {"uri": GONE, "cid": "bafy1"}, "reason": reason}


@pytest.mark.parametrize(
    ("table", "columns"),
    [
        (RECORD_CHECKS, {"uri": GONE, "cid": "bafy1", "raw": json.dumps(view(GONE))}),
        (REPO_EVENTS, {"kind": "unreadable", "raw": f'{{"did":"{AUTHOR}","rkey":"3lgone2gone2g","text":"{WORDS}'}),
        (AUTHOR_FEED, {"post_uri": STAYS, "raw": f'{{"post":{{"uri":"{GONE}","text":"{WORDS}'}),
    ],
)
def test_other_rows_that_hold_its_words_lose_raw(table: RawTable, columns: dict[str, Any]) -> None:
    kept = {name: value for name, value in columns.items() if name not in ("raw", "cid")}
    assert POSTS.row(table, row(table, **columns)) == row(table, **kept)


@pytest.fixture
def small_lake(lake: Lake) -> Lake:
    """Three items, one of a post that was deleted two days ago, by the warehouse; and two profiles."""
    items = [
        row(AUTHOR_FEED, member_did=OTHER, observed_at=NOW - timedelta(days=days), post_uri=uri, item_uri=uri)
        | {"post_cid": "bafy1", "text": WORDS if uri == GONE else "mine", "raw": raw}
        for days, uri, raw in (
            (5, STAYS, json.dumps({"post": view(STAYS, embed={"record": view(GONE)}, value={"text": "mine"})})),
            (4, GONE, json.dumps({"post": view(GONE)})),
            (1, SAME_KEY, "{}"),
        )
    ]
    people = [row(PROFILES, did=OTHER, observed_at=NOW - timedelta(days=days), raw="{}") for days in (1, 9)]
    for table, rows in ((AUTHOR_FEED, items), (PROFILES, people)):
        path = lake.dataset / table.name / "2026-03-08" / "1.0.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table_of(rows, table.schema), path)
    build_warehouse(lake)
    return lake


def build_warehouse(lake: Lake) -> None:
    """Make what dbt would make of it, as far as it is asked."""
    with duckdb_settings("bluesky").open_warehouse() as warehouse:
        warehouse.execute(
            f"""
            create table int_deletions as
            from (values
                ('post', '{GONE}', 'delete_event', $1),
                ('post', '{STAYS}', 'hidden_by_service', $1),
                ('post', '{SAME_KEY}', 'record_gone', $2)
            ) as deletions (subject_type, subject_uri, evidence, missed_at)
            """,
            [NOW - timedelta(days=2), NOW - timedelta(hours=1)],
        )
        files = f"{lake.dataset}/author_feed/**/*.parquet"
        warehouse.execute(f"create table base_bluesky__author_feed as select post_uri, post_cid, text from '{files}'")
        for table in ("repo_events", "record_checks"):
            warehouse.execute(f"create table base_bluesky__{table} (uri varchar, cid varchar)")


def night(monkeypatch: pytest.MonkeyPatch, *, is_built: bool = True, **days: float) -> tuple[bool, str]:
    """Do what a night does about it with these settings; say whether the warehouse went, and what was said."""
    for name, number in days.items():
        monkeypatch.setenv(f"RETENTION__{name.upper()}", str(number))
    output = StringIO()
    console = Console(file=output, soft_wrap=True)
    return keep_no_longer(open_pipeline("bluesky"), NOW, console, is_built=is_built), output.getvalue()


def contents(lake: Lake) -> dict[Path, tuple[bytes, int]]:
    files = [file for file in lake.dataset.parent.rglob("*") if file.is_file()]
    return {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def test_what_is_due_goes_and_the_next_night_finds_nothing(small_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    before = small_lake.query("select * exclude (raw, text, post_cid) from author_feed")
    is_gone, said = night(monkeypatch, keep_deleted_days=1)
    assert is_gone
    assert not duckdb_settings("bluesky").warehouse_path.exists()
    assert said == ("retention  words of 1 deleted posts went out of 2 rows; 1 files; the warehouse is made anew\n")
    assert small_lake.query("select * exclude (raw, text, post_cid) from author_feed") == before
    words = small_lake.query("select text, post_cid from author_feed")
    assert [tuple(row.values()) for row in words] == [("mine", "bafy1"), (None, None), ("mine", "bafy1")]
    assert WORDS not in str(small_lake.query("select raw from author_feed"))
    build_warehouse(small_lake)
    after = contents(small_lake)
    assert night(monkeypatch) == (False, "")
    assert contents(small_lake) == after


def test_more_posts_than_one_pattern_holds_go_in_several_nights(
    small_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with duckdb_settings("bluesky").open_warehouse() as warehouse:
        warehouse.execute(
            "insert into int_deletions select 'post', $1 || range, 'delete_event', $2 from range(3)",
            [GONE, NOW - timedelta(days=3)],
        )
        warehouse.execute("insert into base_bluesky__repo_events select $1 || range, 'bafy' from range(3)", [GONE])
    monkeypatch.setattr("pipelines.retention.LARGEST_PATTERN", 1)
    assert (
        night(monkeypatch, keep_deleted_days=1)[1].splitlines()[1]
        == "retention  3 more are due, and go the next nights"
    )
    assert WORDS not in str(small_lake.query("select raw from author_feed"))


def test_what_was_deleted_within_a_day_may_have_been_made_anew(
    small_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    with duckdb_settings("bluesky").open_warehouse() as warehouse:
        warehouse.execute("update int_deletions set missed_at = $1", [NOW - timedelta(hours=23)])
    assert night(monkeypatch, keep_deleted_days=0) == (False, "")


def test_what_a_run_that_died_had_begun_is_finished(small_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rows may be clean already, so that the warehouse knows of no words; those in others' rows are not."""
    people = small_lake.dataset.parent / "people"
    people.mkdir()
    (people / "forgetting_posts.json").write_text(json.dumps([GONE]))
    with duckdb_settings("bluesky").open_warehouse() as warehouse:
        warehouse.execute("delete from base_bluesky__author_feed")
    assert night(monkeypatch, keep_deleted_days=1)[0]
    assert WORDS not in str(small_lake.query("select raw from author_feed"))
    assert [file.name for file in people.iterdir()] == ["forgotten.json"]


def test_raw_goes_by_age_and_needs_no_warehouse(small_lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    duckdb_settings("bluesky").warehouse_path.unlink()
    before = {name: small_lake.query(f"select * exclude (raw) from {name}") for name in ("author_feed", "profiles")}
    schema = pq.read_schema(next(small_lake.dataset.glob("author_feed/*/*.parquet")))
    is_gone, said = night(monkeypatch, keep_raw_days=3, keep_deleted_days=1, is_built=False)
    assert not is_gone
    assert said.splitlines() == [
        "retention  raw went out of 3 rows; 2 files",
        "retention  keep_deleted_days did nothing: it goes by the warehouse, which this run does not build",
    ]
    for name, rows in before.items():
        assert small_lake.query(f"select * exclude (raw) from {name}") == rows
    left = small_lake.query("select raw is null as is_gone, observed_at from author_feed union all"
                            " select raw is null, observed_at from profiles")  # fmt: skip
    assert all(row["is_gone"] == (row["observed_at"] < NOW - timedelta(days=3)) for row in left)
    assert pq.read_schema(next(small_lake.dataset.glob("author_feed/*/*.parquet"))).equals(schema, check_metadata=True)
    after = contents(small_lake)
    night(monkeypatch, is_built=False)
    assert contents(small_lake) == after


def test_nothing_is_set_as_shipped_and_who_has_the_lease_is_waited_for(
    small_lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(small_lake)
    assert night(monkeypatch) == (False, "")
    with lease(open_pipeline("bluesky")):
        before = contents(small_lake)
        said = night(monkeypatch, keep_raw_days=0, keep_deleted_days=0)[1]
        assert contents(small_lake) == before
    assert said == "retention  another job is writing files of the lake anew: what is due goes the next time\n"
    monkeypatch.setenv("RETENTION__KEEP_RAW_DAYS", "-1")
    with pytest.raises(ConfigurationValueError, match="keep_raw_days take a number from 0"):
        configured_retention()
