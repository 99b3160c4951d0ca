"""One night after another, on the sample network: what is asked, what is new, and who gets their whole history."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.bluesky import member_states
from pipelines.sample.appview.faults import Fault
from pipelines.sample.appview.server import SampleServer
from tests.conftest import isolated_lake
from tests.sources import expected_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pipelines.sample.world.world import Day, World
    from tests.conftest import Lake, Pull

pytestmark = pytest.mark.slow  # How far a walk goes, test_feed_walk.py tries by itself, and cursors test_state.py.

Row = dict[str, Any]
REFRESH = timedelta(days=7)


@dataclass(eq=False)
class Nights:
    """Several pulls of the first pack into one lake.

    Each has a name; what was true and what was stored that night are asked for by it.
    """

    lake: Lake
    world: World
    days: dict[str, int] = field(default_factory=dict)
    pulls: dict[str, Pull] = field(default_factory=dict)

    def pull(self, name: str, server: SampleServer, day: int, **settings: Any) -> None:
        server.day = day
        self.days[name] = day
        self.pulls[name] = self.lake.pull(server, starter_packs=[self.world.packs[0].uri], **settings)

    def day(self, name: str) -> Day:
        return self.world.on(self.days[name])

    def members(self, name: str) -> set[str]:
        return set(self.day(name).followed(self.world.packs[0].list))

    def readable(self, name: str) -> set[str]:
        day = self.day(name)
        return {did for did in self.members(name) if day.actors[did].is_available(day.now)}

    @cache  # noqa: B019 - lives as long as the module's fixture
    def truth(self, name: str) -> dict[tuple[str, str], Row]:
        """Give everything that is in the members' feeds that night."""
        day = self.day(name)
        items = [item for did in self.readable(name) for item in day.feed(did)]
        return {(item.member, item.uri): expected_rows.feed_item(item, day) for item in items}

    @cache  # noqa: B019 - as above
    def rows(self, name: str) -> dict[tuple[str, str], Row]:
        """Give what that night stored."""
        rows = self.lake.query(
            "select items.* exclude (raw, facets, media, text)"
            " from author_feed items join feed_pulls pulls using (member_did, observed_at)"
            f" where pulls._dlt_load_id in ({self._loads(name)})"
        )
        keyed = {(row["member_did"], row["item_uri"]): row for row in rows}
        assert len(keyed) == len(rows), "each item once"
        return keyed

    def claims(self, name: str) -> dict[str, Row]:
        rows = self.lake.query(f"from feed_pulls where _dlt_load_id in ({self._loads(name)})")
        return {row["member_did"]: row for row in rows}

    def _loads(self, name: str) -> str:
        loads = [
            row["_dlt_load_id"] for row in self.lake.query("select distinct _dlt_load_id from feed_pulls order by 1")
        ]
        return f"'{loads[list(self.pulls).index(name)]}'"


@pytest.fixture(scope="module")
def nights(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    with isolated_lake(tmp_path_factory.mktemp("nights")) as lake, SampleServer(world) as server:
        nights = Nights(lake, world)
        server.faults.add(
            Fault.BAD_GATEWAY, nsid="app.bsky.feed.getAuthorFeed", actor=world.actor("leo").did, skip=2, times=None
        )
        nights.pull("first", server, 1)
        server.faults.clear()
        nights.pull("again", server, 1)
        nights.pull("second evening", server, 2)
        nights.pull("fourth evening", server, 4)
        nights.pull("sweep", server, 4, full_sweep_days=3.0)
        yield nights


def test_a_run_with_nothing_new_costs_one_page_a_member_and_brings_nothing_new(nights: Nights) -> None:
    pull, leo = nights.pulls["again"], nights.world.actor("leo").did
    claims = nights.claims("again")
    assert pull.exit_code == 0
    assert sum(claim["new_item_count"] for did, claim in claims.items() if did != leo) == 0
    pages = 0
    for did in nights.readable("again") - {leo}:
        feed = nights.day("again").feed(did)
        cursor = claims[did]["cursor_before"]
        window = [item for item in feed if cursor and item.item_at >= cursor - REFRESH]
        assert claims[did]["page_count"] == len(window) // 100 + 1
        pages += len(window) // 100 + 1
    assert pages <= len(nights.readable("again")), "no member of the sample posts a hundred items a week"
    unavailable = len(claims) - len(nights.readable("again"))
    assert pull.requests["getAuthorFeed"] == pages + unavailable + claims[leo]["page_count"]
    assert pull.requests["getProfile"] == unavailable, "why they are unavailable"
    everybody = nights.day("again").memberships(nights.world.packs[0].list)
    listed = nights.day("again").listed(nights.world.packs[0].list)
    assert pull.requests["getProfiles"] == -(-len(listed) // 25) + 1, "and once more for those who are hidden"
    assert pull.requests["getStarterPack"] == 1
    assert pull.requests["getList"] == -(-len(everybody) // 100)


def test_a_night_brings_what_is_new_and_observes_the_window_again(nights: Nights) -> None:
    """What is new, and what is inside the window, with the counts of that evening; nothing else."""
    cursors = {did: claim["cursor_after"] for did, claim in nights.claims("again").items()}
    expected = {}
    new = set(nights.truth("second evening")) - set(nights.truth("again"))
    now = nights.day("second evening").now
    for key, row in nights.truth("second evening").items():
        cursor = cursors[key[0]]
        time = row["item_at"] or row["item_indexed_at"]
        if key in new or cursor is None or time > min(cursor, now - REFRESH):
            expected[key] = row
    rows = nights.rows("second evening")
    assert rows.keys() == expected.keys()
    for key, row in expected.items():
        counts = [name for name in row if name.endswith("_count")]
        assert {name: rows[key][name] for name in counts} == {name: row[name] for name in counts}
    earlier = nights.rows("again")
    changed = [key for key in rows.keys() & earlier.keys() if rows[key]["like_count"] != earlier[key]["like_count"]]
    assert len(changed) > 20, "the sample's counts grow"
    edited = {
        key for key, row in rows.items() if key in earlier and row["item_indexed_at"] != earlier[key]["item_indexed_at"]
    }
    assert nights.pulls["second evening"].run.new_item_count == len(new | edited) > len(new) > 0


def test_a_post_two_days_old_is_observed_again_and_one_thirty_days_old_is_not(nights: Nights) -> None:
    now = nights.day("second evening").now
    rows = nights.rows("second evening").keys()
    for days, is_observed in ((2, True), (30, False)):
        items = {
            key
            for key, row in nights.truth("second evening").items()
            if row["item_at"] and abs(now - row["item_at"] - timedelta(days=days)) < timedelta(hours=12)
        }
        assert len(items) > 10
        assert items <= rows if is_observed else items.isdisjoint(rows)


def test_a_member_who_failed_gets_the_whole_history_the_next_time(nights: Nights) -> None:
    leo = nights.world.actor("leo").did
    failed = nights.claims("first")[leo]
    assert nights.pulls["first"].exit_code == 2
    assert [note for note in nights.pulls["first"].run.notes if "leo.bsky.test" in note and "failed" in note]
    assert (failed["outcome"], failed["cursor_after"], failed["covered_to"]) == ("failed", None, None)
    truth = {key for key in nights.truth("again") if key[0] == leo}
    assert len(truth) > 300
    assert {key for key in nights.rows("first") if key[0] == leo} < truth, "the pages that came are kept"
    assert {key for key in nights.rows("again") if key[0] == leo} == truth
    assert nights.claims("again")[leo]["reached_end"]


def test_a_member_who_joins_later_gets_the_whole_history(nights: Nights) -> None:
    joined = nights.members("fourth evening") - nights.members("second evening")
    assert joined
    truth = {key for key in nights.truth("fourth evening") if key[0] in joined}
    assert len(truth) > 100
    assert {key for key in nights.rows("fourth evening") if key[0] in joined} == truth


def test_nothing_is_missing_but_what_was_dated_back_and_the_sweep_finds_that(nights: Nights) -> None:
    seen = {key for name in ("first", "again", "second evening", "fourth evening") for key in nights.rows(name)}
    missing = nights.truth("fourth evening").keys() - seen
    archivist = nights.world.actor("archivist").did
    assert {did for did, _ in missing} == {archivist}
    assert len(missing) == 5, "posts of 2015 and later, imported on day 4"
    joined = nights.members("fourth evening") - nights.members("again")
    swept = {key for key in nights.truth("sweep") if key[0] not in joined}
    assert {key for key in nights.rows("sweep") if key[0] not in joined} == swept
    assert missing < swept
    assert all(
        claim["reached_end"]
        for did, claim in nights.claims("sweep").items()
        if did in nights.readable("sweep") - joined
    )


def test_what_the_walks_claim_to_cover_they_have_stored(nights: Nights) -> None:
    for name in nights.pulls:
        rows, claims = nights.rows(name).keys(), nights.claims(name)
        for key, row in nights.truth(name).items():
            claim = claims[key[0]]
            if claim["covered_to"] is None:
                continue
            is_covered = claim["reached_end"] or (
                row["item_at"] is not None and claim["covered_from"] < row["item_at"] <= claim["covered_to"]
            )
            assert key in rows or not is_covered


def test_the_cursors_in_the_lake_are_the_newest_items_that_were_seen(nights: Nights) -> None:
    states = member_states(nights.lake.pipeline())
    newest: dict[str, datetime] = {}
    for (did, _), row in nights.truth("sweep").items():
        newest[did] = max(row["item_indexed_at"], newest.get(did, row["item_indexed_at"]))
    assert states.keys() == nights.readable("sweep") | nights.readable("first")
    for did, at in newest.items():
        assert (states[did]["cursor"] or "") >= at.isoformat()
