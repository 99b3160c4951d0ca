"""A night counts anew those days of members that something moved, and leaves the others as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from tests.dbt.raw_lakes import PACK, Load, did, night, post_uri, repost_uri
from tests.dbt.warehouses import Warehouse, differences_of, new_project

if TYPE_CHECKING:
    from pathlib import Path

DAYS = "--select=+int_author_days"
MOVED = [
    "dated", "deleted", "doubted", "hidden", "undone", "deprived", "unknowing", "edited", "own", "late",
]  # fmt: skip
MEMBERS = [*MOVED, "still"]


def first_load(number: int = 10, pack: str = PACK) -> Load:
    """All have a post of the second day and one of the third, and have reposted a stranger's on the fourth."""
    load, at = Load("1772406001.5"), night(number)
    load.pack(at, MEMBERS, pack)
    for name in MEMBERS:
        load.profile(name, at)
        load.pull(name, at)
        for rkey, day in (("p2", 2), ("p3", 3)):
            feed = {"member": "still", "repost": "r-own"} if (name, rkey) == ("own", "p2") else {}
            load.post(name, rkey, at, night(day), like_count=1, **feed)
        author = {"deprived": "gone", "unknowing": "shy"}.get(name, "stranger")
        load.post(author, "s", at, night(1), member=name, repost="r", item_at=night(4))
    return load


def late_load(number: int = 10) -> Load:
    """A look between the first and the last, which arrives with the last."""
    load = Load("1772406002.5")
    load.post("late", "p2", night(number + 1), night(2), like_count=3)
    return load


def last_load(number: int = 10, pack: str = PACK) -> Load:
    """To each member happens what they are named for."""
    load, between, at = Load("1772406003.5"), night(number + 1), night(number + 2)
    load.pack(at, MEMBERS, pack)
    for name in MEMBERS:
        load.profile(name, at, labels=["!no-unauthenticated"] if name == "hidden" else [])
    load.post("dated", "p2", at, night(5), post_cid="bafysecond")
    load.event("deleted", "post", "p2", between, "delete")
    load.pull("doubted", at, days=20)
    load.event("undone", "repost", "r", between, "delete")
    load.check(post_uri("gone", "s"), at, "record_gone")
    load.post("shy", "t", at, night(number - 1), member="still", repost="r-shy", author_labels=["!no-unauthenticated"])
    load.event("edited", "post", "p2", between, "update", created_at=night(1), cid="bafysecond", text="edited")
    load.post("own", "p2", at, night(2), like_count=4)
    load.post("late", "p2", at, night(2), like_count=9)
    load.check(
        repost_uri("still", "r"), at, "in_repository", subject_uri=post_uri("stranger", "s"), created_at=night(4)
    )
    return load


@pytest.mark.slow
def test_what_moved_is_counted_anew_and_nothing_else(tmp_path: Path, parsed_project: Path) -> None:
    nights = Warehouse(new_project(tmp_path / "project", parsed_project))
    first_load().write(nights.dataset)
    nights.dbt("run", DAYS)
    before = set(nights.rows("select * exclude (batch_number) from int_author_days"))
    late_load().write(nights.dataset)
    last_load().write(nights.dataset)
    nights.dbt("run", DAYS)
    after = set(nights.rows("select * exclude (batch_number) from int_author_days"))
    changed = {str(row[0]) for row in before ^ after if row[1] < night(9).date()}
    assert changed == {did(name) for name in MOVED}
    counted_once = "select date_day::varchar from int_author_days where batch_number = 1 and did = '{}' order by 1"
    assert nights.rows(counted_once.format(did("still"))) == [
        ("2026-03-02",),
        ("2026-03-03",),
        ("2026-03-04",),
        ("2026-03-10",),
    ]
    anew = Warehouse(nights.folder, "anew")
    anew.dbt("run", DAYS)
    assert differences_of(nights, anew) == set()
    # As where another engine filled the warehouse: no copy tells what the days were counted with.
    with duckdb.connect(str(nights.path)) as warehouse:
        warehouse.execute("drop table int_author_days__states")
    nights.dbt("run", "--select=int_author_days")
    assert differences_of(nights, anew) == set()
