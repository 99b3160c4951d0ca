"""Everything in the sample world, as it lands: each column says what the truth says, and `raw` is what was served."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pipelines.sample.appview.server import SampleServer
from tests.conftest import isolated_lake
from tests.sources import expected_rows

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator

    from pipelines.sample.world.world import Day, World
    from tests.conftest import Lake, Pull

Row = dict[str, Any]

DAYS = (1, 5)


@dataclass
class Landed:
    """What pulls of two evenings brought, with all packs, all plain lists and two actors as seeds together.

    Attributes:
        bodies: What the server answered, by method, in each pull.
    """

    lake: Lake
    world: World
    pulls: dict[int, Pull] = field(default_factory=dict)
    bodies: dict[int, dict[str, list[bytes]]] = field(default_factory=dict)

    def rows(self, table: str, day: int, *left_out: str) -> list[Row]:
        columns = ", ".join(("observed_at", "_dlt_load_id", *left_out))
        start, end = self.day(day).now, self.day(day + 1).now
        return self.lake.query(
            f"select * exclude ({columns}) from {table} where observed_at >= '{start}' and observed_at < '{end}'"
        )

    def day(self, day: int) -> Day:
        return self.world.on(day)


@pytest.fixture(scope="module")
def landed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Landed]:
    with isolated_lake(tmp_path_factory.mktemp("whole_world")) as lake, SampleServer(world) as server:
        landed = Landed(lake, world)
        for day in DAYS:
            bodies = landed.bodies[day] = defaultdict(list)

            def keep(body: bytes, bodies: dict[str, list[bytes]] = bodies) -> bytes:
                names = msgspec.json.decode(body, type=dict[str, msgspec.Raw]).keys()
                bodies["record" if "value" in names else next(iter(names - {"cursor", "list"}))].append(body)
                return body

            server.day = day
            server.faults.clear()
            server.faults.mutate(keep)
            landed.pulls[day] = lake.pull(
                server,
                starter_packs=[pack.uri for pack in world.packs],
                lists=[members.uri for members in world.lists],
                actors=[world.actor("grump").did, world.actor("leo").handles[0][1]],
                full=True,
            )
        yield landed


def members_of(landed: Landed, day: Day) -> list[str]:
    lists = (*(pack.list for pack in landed.world.packs), *landed.world.lists)
    return list(dict.fromkeys([*day.followed(*lists), landed.world.actor("grump").did, landed.world.actor("leo").did]))


def by_key(rows: Iterable[Row], *key: str) -> dict[tuple[Any, ...], Row]:
    keyed = {tuple(row[column] for column in key): row for row in rows}
    return dict(sorted(keyed.items()))


@pytest.mark.parametrize("day", DAYS)
def test_every_feed_item_says_what_the_truth_says(landed: Landed, day: int) -> None:
    rows = landed.rows("author_feed", day, "raw")
    for row in rows:
        row["issues"] = row["issues"] and [issue.partition(": ")[0] for issue in row["issues"]]
    evening = landed.day(day)
    truth = [
        expected_rows.feed_item(item, evening) for did in members_of(landed, evening) for item in evening.feed(did)
    ]
    assert len(rows) == len(truth) > 7_000, "each item once"
    landed_rows = by_key(rows, "member_did", "item_uri")
    for key, expected in by_key(truth, "member_did", "item_uri").items():
        assert landed_rows[key] == expected


@pytest.mark.parametrize("day", DAYS)
def test_raw_is_byte_for_byte_what_was_served(landed: Landed, day: int) -> None:
    bodies = landed.bodies[day]
    for table, name in (
        ("author_feed", "feed"),
        ("profiles", "profiles"),
    ):
        served = [bytes(item) for body in bodies[name] for item in elements(body, name)]
        stored = [row["raw"].encode() for row in landed.rows(table, day)]
        if name == "profiles":  # of all, to see who is there; those of who is not followed are let go
            followed = {did.encode() for did in members_of(landed, landed.day(day))}
            served = [item for item in served if any(b'"did":"%b"' % did in item for did in followed)]
        assert sorted(stored) == sorted(served)
    members = {row["raw"].encode() for row in landed.rows("starter_pack_members", day) if row["raw"]}
    listed = {bytes(item) for body in bodies["items"] for item in elements(body, "items")}
    records = {bytes(item) for body in bodies["records"] for item in elements(body, "records")} | {*bodies["record"]}
    assert listed <= members <= listed | records
    packs = {
        bytes(msgspec.json.decode(body, type=dict[str, msgspec.Raw])["starterPack"]) for body in bodies["starterPack"]
    }
    assert {
        row["raw"].encode() for row in landed.rows("starter_packs", day) if row["seed_type"] == "starter_pack"
    } == packs


def elements(body: bytes, name: str) -> list[msgspec.Raw]:
    return msgspec.json.decode(msgspec.json.decode(body, type=dict[str, msgspec.Raw])[name], type=list[msgspec.Raw])


@pytest.mark.parametrize("day", DAYS)
def test_profiles_say_what_the_truth_says(landed: Landed, day: int) -> None:
    evening = landed.day(day)
    rows = landed.rows("profiles", day, "avatar_url", "issues", "raw")
    shown = [did for did in members_of(landed, evening) if evening.actors[did].is_available(evening.now)]
    assert by_key(rows, "did") == by_key([expected_rows.profile(did, evening) for did in shown], "did")


@pytest.mark.parametrize("day", DAYS)
def test_packs_and_memberships_say_what_the_truth_says(landed: Landed, day: int) -> None:
    evening, world = landed.day(day), landed.world
    packs = landed.rows("starter_packs", day, "joined_week_count", "joined_all_time_count", "issues", "raw")
    assert by_key(packs, "uri") == by_key(
        [
            *(expected_rows.starter_pack(pack, evening) for pack in world.packs),
            *(expected_rows.plain_list(members, evening) for members in world.lists),
        ],
        "uri",
    )
    expected = [
        *(
            row
            for pack in world.packs
            for row in expected_rows.memberships(pack.uri, "starter_pack", pack.list, evening)
        ),
        *(row for members in world.lists for row in expected_rows.memberships(members.uri, "list", members, evening)),
    ]
    for name in ("grump", "leo"):
        did = world.actor(name).did
        row = {"pack_uri": f"at://{did}", "did": did, "seed_type": "actor", "is_listed": True}
        unknown = ("list_item_uri", "hidden_because", "handle", "display_name", "labels")
        expected.append(row | dict.fromkeys(unknown))
    rows = landed.rows("starter_pack_members", day, "issues", "raw")
    assert len(rows) == len(expected)
    assert by_key(rows, "pack_uri", "did") == by_key(expected, "pack_uri", "did")


@pytest.mark.parametrize("day", DAYS)
def test_each_member_is_walked_once_and_ends_as_the_truth_says(landed: Landed, day: int) -> None:
    evening = landed.day(day)
    status = {"active": "ok", "deactivated": "deactivated", "suspended": "suspended", "deleted": "not_found"}
    expected = {did: status[evening.actors[did].status(evening.now)] for did in members_of(landed, evening)}
    rows = landed.rows("feed_pulls", day)
    assert len(rows) == len(expected)
    assert {row["member_did"]: row["outcome"] for row in rows} == expected
    assert {"deactivated", "suspended", "not_found"} <= set(expected.values())
    for row in rows:
        if row["outcome"] == "ok":
            assert row["reached_end"]
            assert row["posts_count"] == evening.posts_count(evening.actors[row["member_did"]])
    assert landed.pulls[day].exit_code == 0


@pytest.mark.parametrize("day", DAYS)
def test_a_member_of_two_packs_is_asked_for_once(landed: Landed, day: int) -> None:
    memberships = landed.rows("starter_pack_members", day)
    mara = landed.world.actor("mara").did
    assert sum(row["did"] == mara for row in memberships) == 3
    pulls = landed.rows("feed_pulls", day)
    requests: Counter[str] = landed.pulls[day].requests
    assert requests["getAuthorFeed"] == sum(row["page_count"] or 1 for row in pulls)
    listed = {row["did"] for row in memberships if row["is_listed"]}
    assert requests["getProfiles"] == -(-len(listed) // 25) + 1, "and once more for those who are hidden"


def test_the_sample_world_has_every_oddity_that_these_tests_are_to_meet(landed: Landed) -> None:
    items = [item for did in landed.world.actors for item in landed.day(5).feed(did)]
    assert {item.post.defect for item in items} >= set(expected_rows.ISSUES)
    kinds = {item.post.embed.type for item in items if item.post.embed}
    assert {f"app.bsky.embed.{kind}" for kind in ("images", "gallery", "video", "external", "record")} < kinds
    assert "app.bsky.embed.recordWithMedia" in kinds
    assert len(kinds) == 7, "and one that no lexicon knows"
    features = {facet.feature for item in items for facet in item.post.facets or ()}
    assert len(features) == 4, "mention, link, tag and one that no lexicon knows"
    assert any(item.repost and item.post.author == item.member for item in items), "a repost of oneself"
