"""Rows of many walks go to dlt in few tables, no state before its rows; and a run walks each member once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.lake.tables import AUTHOR_FEED, FEED_PULLS
from pipelines.sources import table_batch, walk_batch
from pipelines.sources.feed_walk import FeedWalk, MemberState
from pipelines.sources.pull_run import LoadRoom
from pipelines.sources.rows import microseconds
from pipelines.sources.table_batch import TableBatch
from pipelines.sources.walk_batch import WalkBatch
from tests.sources.member_feed import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[str, Any]
ROWS = 5
RAW = 40


@pytest.fixture(autouse=True, scope="module")
def small_tables() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk_batch, "ROWS_PER_TABLE", ROWS)
        patch.setattr(walk_batch, "RAW_PER_TABLE", RAW)
        patch.setattr(table_batch, "ROWS_PER_TABLE", ROWS)
        yield


def page_of(did: str, lengths: list[int], page: int) -> list[Row]:
    seen = {"member_did": did, "observed_at": microseconds(NOW)}
    return [{"item_uri": f"{page}/{number}", "raw": "x" * length} | seen for number, length in enumerate(lengths)]


@given(walks=st.lists(st.lists(st.lists(st.integers(1, 20), max_size=4), max_size=4), max_size=12))
def test_every_row_is_handed_over_once_in_bounded_tables_and_no_state_moves_before_its_rows(
    walks: list[list[list[int]]],
) -> None:
    states: dict[str, MemberState] = {}
    batch, tables, expected = WalkBatch(states, {}), [], []

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


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 7)), max_size=20))
def test_small_tables_go_together_each_row_once_and_in_order(sizes: list[tuple[str, int]]) -> None:
    batch, handed = TableBatch(), list[Any]()
    number, expected = 0, {"a": list[int](), "b": list[int]()}
    for kind, size in sizes:
        numbers = list(range(number, number + size))
        handed += batch.add(pa.table({kind: pa.array(numbers, pa.int64())}))
        expected[kind] += numbers
        number += size
    handed += batch.hand_over()
    for kind, rows in expected.items():
        tables = [table for table in handed if table.column_names == [kind]]
        assert [row for table in tables for row in table[kind].to_pylist()] == rows
        assert all(table.num_rows < ROWS + 7 for table in tables)
        assert len(tables) <= len(rows) // ROWS + 1
    assert not list(batch.hand_over())


class MockTable:
    """An empty table that counts how often somebody asks for its size."""

    schema, num_rows, asked = "a schema", 0, 0

    @property
    def nbytes(self) -> int:
        self.asked += 1
        return 0


def test_a_table_is_measured_once_however_many_wait_with_it() -> None:
    batch, tables = TableBatch(), [MockTable() for _ in range(50)]
    for table in tables:
        assert not list(batch.add(cast("pa.Table", table)))
    assert {table.asked for table in tables} == {1}


@given(
    packs=st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=4),
    items_per_load=st.integers(1, 5),
    items=st.lists(st.integers(0, 4), min_size=10, max_size=10),
)
def test_a_load_takes_only_who_was_not_walked_yet_until_it_is_full(
    packs: list[list[int]], items_per_load: int, items: list[int]
) -> None:
    room = LoadRoom(items_per_load)
    taken: list[str] = []
    given = iter([pa.table({"did": [f"did:plc:{number}" for number in pack]}) for pack in packs])
    while True:
        in_load = 0
        for some in given:
            for place, did in enumerate(map(str, some["did"].to_pylist())):
                if room.admit(did):
                    assert in_load < items_per_load
                    taken.append(did)
                    in_load += items[len(taken) - 1]
                    room.fill(items[len(taken) - 1])
                elif room.is_full:
                    room.defer(some.slice(place))
                    break
        if not room.is_anybody_waiting:
            break
        assert in_load >= items_per_load
        room.begin_load()
        given = room.waiting()
    assert sorted(taken) == sorted({f"did:plc:{number}" for pack in packs for number in pack})


@given(members=st.integers(1, 200), some=st.integers(1, 7), per_load=st.integers(1, 9))
def test_a_later_load_is_given_its_own_members_and_one_table_more(members: int, some: int, per_load: int) -> None:
    room = LoadRoom(per_load)
    dids = [f"did:plc:{number}" for number in range(members)]
    room.fill(per_load)
    for start in range(0, members, some):
        room.defer(pa.table({"did": dids[start : start + some]}))
    while room.is_anybody_waiting:
        room.begin_load()
        seen = admitted = 0
        for table in room.waiting():
            for place, did in enumerate(map(str, table["did"].to_pylist())):
                seen += 1
                if room.admit(did):
                    admitted += 1
                    room.fill(1)
                else:
                    room.defer(table.slice(place))
                    break
        assert admitted
        assert seen <= admitted + 1, "whoever was walked, and whoever waits behind, costs a load nothing"
