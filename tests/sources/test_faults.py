"""What goes wrong at the service, or on the way: each member ends in the right outcome, and nobody else suffers."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from pipelines.bluesky import member_states
from pipelines.network.repositories import Repositories
from pipelines.sample.appview.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World
    from tests.conftest import Lake

FEED = "app.bsky.feed.getAuthorFeed"
IS_DOUBTED = {Fault.CURSOR_REPEATS, Fault.ENDS_EARLY}
"""Faults that cannot be told from a feed's end: what came is stored, and the next walk reads all of it again."""


def items_of(world: World, name: str) -> set[str]:
    return {item.uri for item in world.on(1).feed(world.actor(name).did)}


def landed(lake: Lake, world: World, name: str, load: int = -1) -> set[str]:
    """Give what a load, by its place, brought of somebody's feed."""
    did = world.actor(name).did
    loads = [row["load"] for row in lake.query("select distinct _dlt_load_id as load from feed_pulls order by 1")]
    rows = lake.query(f"select item_uri from author_feed where member_did = '{did}' and _dlt_load_id = '{loads[load]}'")
    assert len({row["item_uri"] for row in rows}) == len(rows)
    return {row["item_uri"] for row in rows}


def called(world: World, name: str) -> str:
    """Give what people are told that somebody is called: a handle that leads nowhere is no name."""
    handle = world.actor(name).handle(world.on(1).now)
    return world.actor(name).did if handle == "handle.invalid" else handle


def members_with_several_pages(world: World) -> list[str]:
    """Name members of whom a page can be read before something goes wrong, those with the longest feeds last."""
    day = world.on(1)
    feeds = {did: len(day.feed(did)) for did in day.followed(world.packs[0].list)}
    return [world.actors[did].name for did in sorted(feeds, key=feeds.__getitem__) if feeds[did] > 120]


@pytest.fixture
def impatient_lake(lake: Lake) -> Lake:
    lake.client = {"backoff": 0.001, "timeout": 1.5, "max_attempts": 3}
    return lake


@pytest.mark.slow
def test_each_fault_ends_in_the_right_outcome_for_its_member_and_the_others_are_loaded(
    impatient_lake: Lake, sample_server: SampleServer, world: World
) -> None:
    lake = impatient_lake
    # What can be told from a feed's end only by how much is missing, for those with the longest feeds.
    faults = sorted(Fault, key=IS_DOUBTED.__contains__)
    victims = dict(zip(faults, members_with_several_pages(world)[-len(faults) :], strict=True))
    for fault, name in victims.items():
        sample_server.faults.add(fault, nsid=FEED, actor=world.actor(name).did, skip=1, times=None, seconds=4.0)
    pull = lake.pull(sample_server)
    assert pull.exit_code == 2
    outcomes = {row["member_did"]: row for row in lake.query("from feed_pulls")}
    states = member_states(lake.pipeline())
    for fault, name in victims.items():
        did = world.actor(name).did
        outcome = outcomes[did]
        assert outcome["outcome"] == ("ok" if fault in IS_DOUBTED else "failed"), fault
        assert (did in states) == (fault in IS_DOUBTED), f"{fault}: the cursor of a walk that failed does not move"
        assert not outcome["reached_end"], fault
        [note] = [line for line in pull.run.notes if line.startswith(f"{called(world, name)}: ")]
        assert "\n" not in note
        assert note in pull.output
        came = landed(lake, world, name)
        assert came < items_of(world, name), fault
        assert len(came) >= 100, "the page that came before is kept"
    assert len(pull.run.notes) == len(victims)
    others = [world.actors[did].name for did, row in outcomes.items() if row["outcome"] == "ok"]
    for name in set(others) - set(victims.values()):
        assert landed(lake, world, name) == items_of(world, name)
    assert len(set(others) - set(victims.values())) > 10

    sample_server.faults.clear()
    again = lake.pull(sample_server)
    assert again.exit_code == 0
    assert again.run.notes == []
    for name in victims.values():
        assert landed(lake, world, name) == items_of(world, name), "the whole feed, the next time"


@pytest.mark.slow
def test_a_fault_that_passes_costs_nothing_but_a_retry(
    impatient_lake: Lake, sample_server: SampleServer, world: World
) -> None:
    lake = impatient_lake
    answers = {Fault.FORBIDDEN, Fault.NOT_IMPLEMENTED}
    passing = [fault for fault in Fault if fault not in IS_DOUBTED | answers]
    victims = dict(zip(passing, members_with_several_pages(world), strict=False))
    for fault, name in victims.items():
        sample_server.faults.add(fault, nsid=FEED, actor=world.actor(name).did, skip=1, seconds=4.0)
    pull = lake.pull(sample_server)
    assert pull.exit_code == 0
    assert pull.run.notes == []
    for fault, name in victims.items():
        assert landed(lake, world, name) == items_of(world, name), fault
    assert pull.run.network
    assert pull.run.network.appview.stats.retries >= len(victims) - 1, "an empty page is no failure"


@pytest.mark.slow
def test_faults_at_random_lose_nothing_for_good(
    impatient_lake: Lake, sample_server: SampleServer, world: World
) -> None:
    lake = impatient_lake
    names = members_with_several_pages(world)[-12:]
    actors = [world.actor(name).did for name in names]
    sample_server.faults.at_random(
        0.4, [fault for fault in Fault if fault is not Fault.SLOW], seed=1, nsid=FEED, seconds=3.0
    )
    pull = lake.pull(sample_server, actors=actors)
    outcomes = {row["member_did"]: row for row in lake.query("from feed_pulls")}
    assert pull.exit_code == (2 if pull.run.outcomes["failed"] else 0)
    assert set(pull.run.outcomes) == {"ok", "failed"}
    for name in names:
        outcome = outcomes[world.actor(name).did]
        came, truth = landed(lake, world, name), items_of(world, name)
        assert came <= truth
        if outcome["reached_end"]:
            posts = {uri for uri in truth if "/app.bsky.feed.post/" in uri}
            assert posts <= came, "an end is believed that agrees with the number of posts"
        else:
            assert any(line.startswith(f"{called(world, name)}: {outcome['outcome']}") for line in pull.run.notes)
        if outcome["outcome"] == "failed":
            assert world.actor(name).did not in member_states(lake.pipeline())
    sample_server.faults.clear()
    assert lake.pull(sample_server, actors=actors, full=True).exit_code == 0
    rows = lake.query("select distinct member_did, item_uri from author_feed")
    assert {(row["member_did"], row["item_uri"]) for row in rows} == {
        (world.actor(name).did, uri) for name in names for uri in items_of(world, name)
    }


@pytest.mark.parametrize(
    "fault",
    [
        Fault.BAD_GATEWAY,
        *(pytest.param(fault, marks=pytest.mark.slow) for fault in (Fault.INVALID_JSON, Fault.LIST_MISSING)),
    ],
)
def test_members_whose_profiles_cannot_be_read_are_walked_all_the_same(
    impatient_lake: Lake, sample_server: SampleServer, world: World, fault: Fault
) -> None:
    lake, names = impatient_lake, ["nils", "tomasz"]
    sample_server.faults.add(fault, nsid="app.bsky.actor.getProfiles", times=None)
    pull = lake.pull(sample_server, actors=[world.actor(name).did for name in names])
    assert pull.exit_code == 2
    assert any("getProfiles" in line for line in pull.output.splitlines())
    for name in names:
        assert landed(lake, world, name) == items_of(world, name)


def test_a_pack_of_two_that_cannot_be_read_does_not_keep_the_other_from_being_loaded(
    impatient_lake: Lake, sample_server: SampleServer, world: World
) -> None:
    lake, (first, second) = impatient_lake, world.packs
    sample_server.faults.add(Fault.INTERNAL_ERROR, nsid="app.bsky.graph.getStarterPack", times=3)
    pull = lake.pull(sample_server, starter_packs=[first.uri, second.uri])
    assert pull.exit_code == 2
    assert [row["uri"] for row in lake.query("from starter_packs")] == [second.uri]
    assert sum(first.uri in line for line in pull.output.splitlines()) == 1


def test_a_list_that_breaks_off_is_not_taken_for_the_whole_membership(
    impatient_lake: Lake, sample_server: SampleServer, world: World
) -> None:
    lake, pack = impatient_lake, world.packs[1]
    sample_server.faults.add(Fault.BAD_GATEWAY, nsid="com.atproto.repo.listRecords", times=None)
    sample_server.faults.add(Fault.ENDS_EARLY, nsid="app.bsky.graph.getList", times=None)
    sample_server.faults.mutate(lambda body: body.replace(b'"listItemCount":', b'"listItemCount":9'))
    pull = lake.pull(sample_server, starter_packs=[pack.uri])
    assert pull.exit_code == 2
    [row] = lake.query("from starter_packs")
    assert not row["is_membership_complete"]


def test_a_creator_who_is_slow_holds_up_nobody_whom_the_service_lists(
    lake: Lake, sample_server: SampleServer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack = world.packs[0]
    listed = {item.subject for item in world.on(1).listed(pack.list)}
    records, asked_meanwhile = Repositories.list_item_records, set[str]()

    def asked() -> list[str]:
        return [request.params["actor"] for request in sample_server.requests if request.nsid == FEED]

    def answer_late(self: Repositories, creator_did: str, list_uri: str) -> Iterator[msgspec.Raw]:
        latest = time.monotonic() + 20
        while listed - set(asked()) and time.monotonic() < latest:
            time.sleep(0.01)
        asked_meanwhile.update(asked())
        yield from records(self, creator_did, list_uri)

    monkeypatch.setattr(Repositories, "list_item_records", answer_late)
    assert lake.pull(sample_server).exit_code == 0
    assert asked_meanwhile == listed, "while the creator did not answer"
    followed = set(world.on(1).followed(pack.list))
    assert {row["member_did"] for row in lake.query("from feed_pulls")} == followed > listed
    [row] = lake.query("from starter_packs")
    assert row["is_membership_complete"]


def test_odd_text_from_one_member_is_loaded_and_can_be_read(
    lake: Lake, sample_server: SampleServer, world: World
) -> None:
    odd = rb'"text":"odd \u0000 \ud83e text'
    sample_server.faults.mutate(lambda body: body.replace(b'"text":"', odd), nsid=FEED)
    nils = world.actor("nils").did
    assert lake.pull(sample_server, actors=[nils]).exit_code == 0
    rows = lake.query("select text, raw, issues from author_feed where item_uri like '%app.bsky.feed.post%'")
    assert all(row["text"].startswith("odd \0 \ufffd text") for row in rows if row["text"])
    assert all(r"odd \u0000 \ud83e text" in row["raw"] for row in rows)
    assert all(row["issues"] for row in rows)
    assert landed(lake, world, "nils") == items_of(world, "nils")


@pytest.mark.slow
def test_pages_that_are_damaged_at_random_end_no_run_and_lose_nothing_for_good(
    impatient_lake: Lake, sample_server: SampleServer, world: World
) -> None:
    lake, dice, pack = impatient_lake, random.Random(1), world.packs[1]

    def damage(body: bytes) -> bytes:
        damaged = bytearray(body)
        for _ in range(dice.choice((0, 1, 3, 30))):
            place = dice.randrange(len(damaged))
            match dice.randrange(3):
                case 0:
                    damaged[place] ^= 1 << dice.randrange(8)
                case 1:
                    del damaged[place : place + dice.choice((1, 30))]
                case _:
                    damaged[place:place] = dice.choice((b"\0", b"\xff", b'"', b"}", b"\\ud800", b"9" * 400))
        return bytes(damaged)

    sample_server.faults.mutate(damage, nsid=FEED)
    pull = lake.pull(sample_server, starter_packs=[pack.uri])
    assert pull.exit_code in (0, 2)
    assert pull.run.outcomes.total() == len(world.on(1).memberships(pack.list))
    sample_server.faults.clear()
    assert lake.pull(sample_server, starter_packs=[pack.uri], full=True).exit_code == 0
    names = [world.actors[item.subject].name for item in world.on(1).memberships(pack.list)]
    assert all(landed(lake, world, name) == items_of(world, name) for name in names)
