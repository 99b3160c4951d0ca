"""Rows of many walks go to dlt in few tables, no state before its rows; and a run walks each member once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.lake.tables import AUTHOR_FEED, FEED_PULLS
from pipelines.sources import walk_batch
from pipelines.sources.feed_walk import FeedWalk, MemberState
from pipelines.sources.pull_run import LoadRoom
from pipelines.sources.rows import microseconds
from pipelines.sources.walk_batch import WalkBatch
from tests.sources.member_feed import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

Row = dict[str, Any]
ROWS = 5
RAW = 40


@pytest.fixture(autouse=True, scope="module")
def small_tables() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk_batch, "ROWS_PER_TABLE", ROWS)
        patch.setattr(walk_batch, "RAW_PER_TABLE", RAW)
        yield


def page_of(did: str, lengths: list[int], page: int) -> list[Row]:
    seen = {"member_did": did, "observed_at": microseconds(NOW)}
    return [{"item_uri": f"{page}/{number}", "raw": "x" * length} | seen for number, length in enumerate(lengths)]


@given(walks=st.lists(st.lists(st.lists(st.integers(1, 20), max_size=4), max_size=4), max_size=12))
def test_every_row_is_handed_over_once_in_bounded_tables_and_no_state_moves_before_its_rows(
    walks: list[list[list[int]]],
) -> None:
    states: dict[str, MemberState] = {}
    batch, tables, expected = WalkBatch(states), [], []

    def take(handed_over: Iterator[pa.Table]) -> None:
        for table in handed_over:
            tables.append(table)
            pulled = {did for given in tables if given.schema.equals(FEED_PULLS.schema) for did in given[0].to_pylist()}
            assert states.keys() <= pulled, "a state moved before dlt had its rows"

    for number, pages in enumerate(walks):
        did = f"did:plc:{number}"
        for place, lengths in enumerate(pages):
            rows = page_of(did, lengths, place)
            expected += [(did, row["item_uri"]) for row in rows]
            take(batch.add_page(rows))
        walk = FeedWalk(None, did, None, None, NOW)  # type: ignore[arg-type]  # It is over: nobody is asked.
        walk.next_state = MemberState(cursor=None, pulled_at="", swept_at="", end_uri=None, doubtful_end_uri=None)
        batch.end_walk(walk)
    take(batch.hand_over())

    items = [table for table in tables if table.schema.equals(AUTHOR_FEED.schema)]
    handed = [(row["member_did"], row["item_uri"]) for table in items for row in table.to_pylist()]
    assert handed == expected
    assert states.keys() == {f"did:plc:{number}" for number in range(len(walks))}
    for table in items:
        assert table.num_rows < ROWS + 4, "a page more than enough, at most"
        assert sum(len(row["raw"]) for row in table.to_pylist()) < RAW + 4 * 20
    full = len(expected) // ROWS + sum(sum(map(sum, pages)) for pages in walks) // RAW
    assert len(tables) - len(items) == min(len(walks), 1)
    assert len(items) <= full + 1, "few tables, however many members"


@given(
    packs=st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=4),
    items_per_load=st.integers(1, 5),
    items=st.lists(st.integers(0, 4), min_size=10, max_size=10),
)
def test_a_load_takes_only_who_was_not_walked_yet_until_it_is_full(
    packs: list[list[int]], items_per_load: int, items: list[int]
) -> None:
    room = LoadRoom(items_per_load)
    followed = [f"did:plc:{number}" for pack in packs for number in pack]
    taken: list[str] = []
    while True:
        room.begin_load()
        in_load = 0
        for did in followed:
            if room.admit(did):
                assert in_load < items_per_load
                taken.append(did)
                in_load += items[len(taken) - 1]
                room.fill(items[len(taken) - 1])
        if not room.deferred_count:
            break
        assert in_load >= items_per_load
    assert taken == list(dict.fromkeys(followed))
