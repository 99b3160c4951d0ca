"""Seven nights, events, a compaction, checks, audits and the marts: the words of deleted posts go, the facts stay."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from pipelines.lake.working_folder import open_pipeline
from pipelines.retention import keep_no_longer
from tests.conftest import shared_world
from tests.dbt.warehouses import Warehouse, differences_of, new_project
from tests.forgetting.lakes import found_in, keep_no_longer_in, load_events
from tests.job import AtChange, run_process
from tests.seeds import seeds

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.world.world import World

pytestmark = pytest.mark.slow

LAST_DAY = 7
KEEP_DAYS = 0.5
KILLED = -9

WITH_WORDS = {
    "base_bluesky__author_feed": "post_cid",
    "base_bluesky__record_checks": "cid",
    "base_bluesky__repo_events": "cid, text, tags, facets, link_uri, link_title, link_description, media, self_labels",
    "int_posts": "post_cid, text, text_length, tags, facets, link_uri, link_title, link_description, media,"
    " media_count, self_labels",
}
"""What nights keep of a post's words. All other tables are made from these."""


@dataclass
class Before:
    """A lake and its warehouse before anything was due, and what is.

    Attributes:
        warehouse: Both.
        due: URIs of the posts that are due.
        words: What they say, as far as no other post says it.
    """

    warehouse: Warehouse
    due: list[str]
    words: list[str]


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Before:
    world = shared_world()
    warehouse = Warehouse(new_project(tmp_path_factory.mktemp("before") / "project", parsed_project))
    assert warehouse.job("--no-transform", "--no-report") == 0
    with warehouse._settings():
        load_events(world, LAST_DAY, 1_500, "bluesky_sample_jetstream")
    assert warehouse.job("--check", "--no-report") == 0
    due = warehouse.rows(f"""
        select post_uri from fct_posts
        where deleted_because in ('delete_event', 'record_gone') and deleted_before < '{cutoff(warehouse)}'
    """)
    uris = [str(uri) for (uri,) in due]
    return Before(warehouse, uris, words_of(world, uris))


def now_of(warehouse: Warehouse) -> datetime:
    ((newest,),) = warehouse.rows("select newest_observed_at from int_clock")
    assert isinstance(newest, datetime)
    return newest


def cutoff(warehouse: Warehouse) -> datetime:
    return now_of(warehouse) - timedelta(days=KEEP_DAYS)


def words_of(world: World, uris: list[str]) -> list[str]:
    others = "\n".join(post.text for post in world.posts if post.uri not in uris and post.text)
    words = {post.text for post in world.posts if post.uri in uris and post.text}
    return sorted(text for text in words if len(text) > 10 and text not in others)


@pytest.fixture
def copy(before: Before, tmp_path: Path) -> Warehouse:
    shutil.copytree(before.warehouse.folder, tmp_path / "project")
    return Warehouse(tmp_path / "project")


def keep(warehouse: Warehouse, now: datetime) -> bool:
    with warehouse._settings(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("RETENTION__KEEP_DELETED_DAYS", str(KEEP_DAYS))
        return keep_no_longer(open_pipeline("bluesky_sample"), now, Console(quiet=True))


def expect_without_words(copy: Warehouse, before: Before) -> None:
    """Nothing of theirs in any byte, and nothing else is another than it was."""
    for folder in ("_data", "warehouse", "dlt"):
        assert found_in(copy.folder / folder, before.words) == []
    # All that differs is words of theirs: taken out of both, the two are the same.
    for table, columns in WITH_WORDS.items():
        uri = "post_uri" if "post" in columns.partition(",")[0] else "uri"
        due = ", ".join(f"'{uri}'" for uri in before.due)
        query = f"select * exclude ({columns}, batch_number), %s from {table} order by all"
        kept = ", ".join(f"case when {uri} not in ({due}) then {column} end" for column in columns.split(", "))
        assert copy.rows(query % kept) == before.warehouse.rows(query % kept)
        empty = " and ".join(f"{column} is null" for column in columns.split(", ") if column != "media_count")
        assert copy.rows(f"select count(*) from {table} where {uri} in ({due}) and not ({empty})") == [(0,)]
    facts = "select * exclude (post_cid, text, text_length, media_count, self_labels) from fct_posts order by all"
    assert copy.rows(facts) == before.warehouse.rows(facts)
    for table in ("fct_reposts", "fct_author_days", "fct_post_engagement", "int_deletions", "rpt_data_health"):
        columns = "* exclude (batch_number)" if table == "fct_post_engagement" else "*"
        query = f"select {columns} from {table} order by all"
        assert copy.rows(query) == before.warehouse.rows(query), table


def test_the_words_go_and_the_facts_stay(before: Before, copy: Warehouse) -> None:
    assert len(before.words) >= 10
    due = ", ".join(f"'{uri}'" for uri in before.due)
    spoken_of = f"select distinct kind from fct_interactions where subject_uri in ({due}) and not is_with_self"
    assert {"quote", "reply", "repost"} <= {kind for (kind,) in before.warehouse.rows(spoken_of)}
    assert {text for text, _ in found_in(before.warehouse.folder / "_data", before.words)} == set(before.words)
    now = now_of(copy)
    assert keep(copy, now)
    copy.dbt("run")
    expect_without_words(copy, before)

    incremental = Warehouse(copy.folder, "incremental")
    shutil.copytree(copy.path.parent, incremental.path.parent)
    copy.dbt("run", "--full-refresh")
    assert differences_of(copy, incremental) == set()

    files = {file: file.stat().st_mtime_ns for file in copy.dataset.rglob("*") if file.is_file()}
    assert not keep(copy, now)
    assert {file: file.stat().st_mtime_ns for file in copy.dataset.rglob("*") if file.is_file()} == files


def test_a_night_does_it(before: Before, copy: Warehouse, capfd: pytest.CaptureFixture[str]) -> None:
    config = copy.folder / ".dlt" / "config.toml"
    config.write_text(config.read_text().replace("# keep_deleted_days = 30 ", f"keep_deleted_days = {KEEP_DAYS}"))
    assert copy.job("--day", str(LAST_DAY + 1), "--no-report") == 0
    assert "retention  words of" in capfd.readouterr().out
    for folder in ("_data", "warehouse", "dlt"):
        assert found_in(copy.folder / folder, before.words) == []
    incremental = Warehouse(copy.folder, "incremental")
    shutil.copytree(copy.path.parent, incremental.path.parent)
    copy.dbt("run", "--full-refresh")
    # The tests' dbt leaves somebody out whom the job does not.
    assert differences_of(copy, incremental) <= {"int_withheld_names"}


@pytest.mark.parametrize("seed", seeds(20, by_default=0, on_each_change=0))
def test_killed_at_any_moment_the_next_run_finishes(before: Before, copy: Warehouse, seed: int) -> None:
    chance, now = random.Random(seed), now_of(copy)
    environment = {"DLT_PROJECT_DIR": str(copy.folder), "DLT_LOCAL_DIR": str(copy.folder)}
    environment |= {"DLT_DATA_DIR": str(copy.folder / "dlt"), "RETENTION__KEEP_DELETED_DAYS": str(KEEP_DAYS)}
    environment["PIPELINES__BLUESKY_SAMPLE__WAREHOUSE"] = f"{copy.name}/{copy.path.name}"
    assert run_process(keep_no_longer_in, environment, now, AtChange(chance.randint(15, 130))) == KILLED
    if seed % 2:
        copy.dbt("run", "--full-refresh")
    keep(copy, now)
    copy.dbt("run")
    expect_without_words(copy, before)
