"""Rows of many walks that go to dlt together: it looks at a table for milliseconds, however few rows that has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipelines.lake.tables import AUTHOR_FEED, FEED_PULLS
from pipelines.sources.rows import ROWS_PER_TABLE, Row, arrow_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa

    from pipelines.sources.feed_walk import FeedWalk
    from pipelines.sources.member_states import Remembering

RAW_PER_TABLE: Final = 4_000_000
"""Characters of `raw` at which a table is handed over, however few rows it has: memory does not grow with what people
write."""


class WalkBatch:
    """The rows of walks that one thread makes one after the other, in tables of about `ROWS_PER_TABLE` rows.

    Args:
        states: Where the members' states go to, when dlt has all rows that they stand for.
        tried: When the feeds were last asked for, ISO 8601, by DID, of which the last walk was not completed. Moves as
            `states` do.
    """

    def __init__(self, states: Remembering, tried: dict[str, str]) -> None:
        self._states = states
        self._tried = tried
        self._items: list[Row] = []
        self._raw = 0
        self._walks: list[FeedWalk] = []

    def add_page(self, rows: list[Row]) -> Iterator[pa.Table]:
        """Take rows of `author_feed`, and hand all of them over if they are many."""
        self._items += rows
        self._raw += sum(len(row["raw"]) for row in rows)
        if len(self._items) >= ROWS_PER_TABLE or self._raw >= RAW_PER_TABLE:
            yield from self._hand_over_items()

    def end_walk(self, walk: FeedWalk) -> None:
        """Take a walk whose pages were added."""
        self._walks.append(walk)

    def hand_over(self) -> Iterator[pa.Table]:
        """Hand over the items, then what the walks say of themselves; then move the members' states."""
        yield from self._hand_over_items()
        if self._walks:
            yield arrow_table(FEED_PULLS, [walk.pull_row() for walk in self._walks])
        self._states.update({walk.did: walk.next_state for walk in self._walks if walk.next_state})
        for walk in self._walks:
            if walk.is_completed:
                self._tried.pop(walk.did, None)
            else:
                self._tried[walk.did] = walk.observed_at.isoformat()

    def _hand_over_items(self) -> Iterator[pa.Table]:
        if self._items:
            items, self._items, self._raw = self._items, [], 0
            yield arrow_table(AUTHOR_FEED, items)
