"""Who is followed: members that are hidden, listed twice or named wrongly."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from pipelines.lake.tables import PROFILES, STARTER_PACK_MEMBERS, STARTER_PACKS
from pipelines.network import repositories
from pipelines.network.appview import AppView, NetworkError
from pipelines.network.budgets import Budget
from pipelines.network.connect import Network
from pipelines.network.pacing import Pacer
from pipelines.network.repositories import Repositories
from pipelines.sample.appview.faults import Fault
from pipelines.sources.roster import NobodyToFollow, Roster, RosterReader, Seeds
from pipelines.sources.rows import arrow_table
from tests.seeds import seeds

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World

Json = dict[str, Any]

NOBODY = "did:plc:nobodynobodynobodynobody"
GET_LIST = "app.bsky.graph.getList"
LIST_RECORDS = "com.atproto.repo.listRecords"


def read(server: SampleServer, **seeds: list[str]) -> Roster:
    appview = AppView(server.url, Pacer(10_000), backoff=0.001)
    clock = lambda: datetime(2026, 3, 2, 23, tzinfo=UTC)  # noqa: E731
    network = Network(appview, Repositories(appview, server.url), server.url)
    reader = RosterReader(network, clock, 4)
    return reader.with_hidden(reader.read(Seeds(**seeds)))


def changing(key: str, change: Callable[[list[Json]], list[Json]]) -> Callable[[bytes], bytes]:
    """Change the list in a page."""

    def changed(body: bytes) -> bytes:
        page = msgspec.json.decode(body)
        page[key] = change(page[key])
        return msgspec.json.encode(page)

    return changed


@pytest.fixture
def pack(world: World) -> str:
    return world.packs[0].uri


def test_members_that_are_hidden_are_members_and_told_from_those_who_left(
    sample_server: SampleServer, world: World, pack: str
) -> None:
    roster = read(sample_server, starter_packs=[pack])
    listed = {member["did"]: member["is_listed"] for member in roster.members}
    for name in ("ghosted", "spammy", "gone", "aloof"):
        assert listed[world.actor(name).did] is False, "deactivated, suspended, deleted, and one who blocks the creator"
    assert roster.problems == []
    [row] = roster.starter_packs
    assert row["is_membership_complete"]
    assert row["list_item_count"] == len(roster.members)


def test_without_the_creators_own_records_nobody_is_said_to_have_left(
    sample_server: SampleServer, world: World, pack: str
) -> None:
    sample_server.faults.add(Fault.UNAVAILABLE, nsid=LIST_RECORDS, times=None)
    roster = read(sample_server, starter_packs=[pack])
    assert not roster.starter_packs[0]["is_membership_complete"]
    assert world.actor("ghosted").did not in roster.dids
    [problem] = roster.problems
    assert "hides" in problem


def test_a_member_who_is_listed_twice_is_one_member(sample_server: SampleServer, pack: str) -> None:
    once = read(sample_server, starter_packs=[pack])
    sample_server.faults.mutate(changing("items", lambda items: items + items[:3]), nsid=GET_LIST)
    roster = read(sample_server, starter_packs=[pack, pack])
    assert Counter(member["did"] for member in roster.members) == {member["did"]: 2 for member in once.members}
    assert [member["is_listed"] for member in roster.members] == sorted(
        (member["is_listed"] for member in roster.members), reverse=True
    ), "who is hidden comes last"
    assert roster.dids == once.dids


@pytest.mark.parametrize("subject", ["somebody", "did:plc:", 5, None])
def test_a_record_that_names_nobody_spoils_nothing(sample_server: SampleServer, pack: str, subject: Any) -> None:
    expected = read(sample_server, starter_packs=[pack])

    def add(records: list[Json]) -> list[Json]:
        value = records[0]["value"] | {"subject": subject}
        return [records[0] | {"uri": "at://did:plc:x/app.bsky.graph.listitem/odd", "value": value}, *records]

    sample_server.faults.mutate(changing("records", add), nsid=LIST_RECORDS)
    roster = read(sample_server, starter_packs=[pack])
    assert roster.dids == expected.dids
    assert roster.profiles.keys() == expected.profiles.keys()
    assert roster.problems == []


def test_a_listed_member_without_a_did_makes_the_membership_incomplete(sample_server: SampleServer, pack: str) -> None:
    def spoil(items: list[Json]) -> list[Json]:
        return [items[0] | {"subject": {"handle": "nameless.test"}}, *items[1:]]

    sample_server.faults.mutate(changing("items", spoil), nsid=GET_LIST)
    assert not read(sample_server, starter_packs=[pack]).starter_packs[0]["is_membership_complete"]


def test_a_list_that_breaks_off_halfway_is_followed_as_far_as_it_is_known(
    sample_server: SampleServer, world: World, pack: str
) -> None:
    sample_server.faults.mutate(lambda body: b'{"cursor":"9__z",' + body[1:], nsid=GET_LIST)
    sample_server.faults.add(Fault.BAD_GATEWAY, nsid=GET_LIST, skip=1, times=None)
    roster = read(sample_server, starter_packs=[pack])
    day = world.on(1)
    assert set(roster.dids) == {item.subject for item in day.listed(world.packs[0].list)}
    assert not roster.starter_packs[0]["is_membership_complete"]
    [problem] = roster.problems
    assert pack in problem


def test_seeds_of_all_kinds_are_followed_together_each_member_once(sample_server: SampleServer, world: World) -> None:
    mara = world.actor("mara")
    roster = read(
        sample_server,
        starter_packs=[pack.uri for pack in world.packs],
        lists=[members.uri for members in world.lists],
        actors=[mara.handles[0][1], mara.did, world.actor("grump").did],
    )
    assert len(roster.dids) == len(set(roster.dids))
    memberships = [(member["pack_uri"], member["did"]) for member in roster.members]
    assert len([pack for pack, did in set(memberships) if did == mara.did]) == 4
    profiles = sum(request.nsid == "app.bsky.actor.getProfiles" for request in sample_server.requests)
    listed = {member["did"] for member in roster.members if member["is_listed"]}
    assert profiles == -(-len(listed) // 25) + 1, "and once more for those who are hidden"


@pytest.mark.parametrize("creator", [None, 5, {"did": "nobody"}, {"did": "did:plc:nobodynobodynobodynobody"}])
def test_a_pack_whose_creator_cannot_be_read_is_followed_all_the_same(
    sample_server: SampleServer, world: World, pack: str, creator: Any
) -> None:
    def spoil(body: bytes) -> bytes:
        content = msgspec.json.decode(body)
        content["starterPack"]["creator"] = creator
        return msgspec.json.encode(content)

    sample_server.faults.mutate(spoil, nsid="app.bsky.graph.getStarterPack")
    roster = read(sample_server, starter_packs=[pack])
    assert set(roster.dids) == set(world.on(1).followed(world.packs[0].list))
    assert roster.starter_packs[0]["is_membership_complete"]
    assert roster.problems == []


def test_a_creator_whose_records_do_not_end_costs_a_budget_and_no_other_pack(
    sample_server: SampleServer, world: World, pack: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repositories, "account_budget", lambda _: Budget("one account", requests=30))
    numbers = itertools.count()

    def go_on(body: bytes) -> bytes:
        number = next(numbers)
        uri = f"at://did:plc:nobodynobodynobodynobody/app.bsky.graph.listitem/{number}"
        return msgspec.json.encode({"records": [{"uri": uri, "value": {"list": uri}}], "cursor": f"c{number}"})

    sample_server.faults.mutate(go_on, nsid="com.atproto.repo.listRecords")
    other = next(did for did in world.actors if did not in world.on(1).followed(world.packs[0].list))
    roster = read(sample_server, starter_packs=[pack], actors=[other])
    [problem] = roster.problems
    assert pack in problem
    assert "30 requests" in problem
    assert other in roster.dids
    assert not roster.starter_packs[0]["is_membership_complete"]


@pytest.mark.parametrize("seed", seeds(40, by_default=10))
def test_bad_answers_end_in_problems_and_not_in_a_crash(sample_server: SampleServer, world: World, seed: int) -> None:
    dice = random.Random(seed)

    def swap_values(body: bytes) -> bytes:
        content = msgspec.json.decode(body)
        for _ in range(dice.randint(1, 3)):
            holder: Any = content
            while True:
                keys = list(holder) if isinstance(holder, dict) else range(len(holder))
                key = dice.choice(keys)
                if not holder[key] or not isinstance(holder[key], dict | list) or dice.random() < 0.3:
                    break
                holder = holder[key]
            holder[key] = dice.choice((None, True, -1, 10**30, "", "x", "at://x", [], {}, [{}], {"uri": 5}))
        return msgspec.json.encode(content)

    for nsid in dice.sample(("getStarterPack", "getList"), dice.randint(1, 2)):
        sample_server.faults.mutate(swap_values, nsid=f"app.bsky.graph.{nsid}")
    if dice.random() < 0.5:
        sample_server.faults.mutate(swap_values, nsid="app.bsky.actor.getProfiles")
        sample_server.faults.mutate(swap_values, nsid=LIST_RECORDS)
    try:
        roster = read(sample_server, starter_packs=[world.packs[1].uri], lists=[world.lists[0].uri])
    except (NobodyToFollow, NetworkError) as error:
        assert str(error)  # noqa: PT017 - either it comes or it does not
        return
    tables = (STARTER_PACKS, roster.starter_packs), (STARTER_PACK_MEMBERS, roster.members)
    for table, rows in (*tables, (PROFILES, list(roster.profiles.values()))):
        columns = arrow_table(table, rows)
        required = [field.name for field in table.schema if not field.nullable]
        assert [name for name in required if columns[name].null_count] == []


def test_nobody_to_follow_is_said_with_the_reason(sample_server: SampleServer) -> None:
    with pytest.raises(NobodyToFollow, match="starter_packs, lists or actors"):
        read(sample_server)
    with pytest.raises(NobodyToFollow, match=r"nobody\.test"):
        read(sample_server, actors=["nobody.test"])


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("actors", "@Nobody.bsky.test", "nobody has the handle nobody.bsky.test now. Write their DID"),
        ("actors", "https://bsky.app/profile/nobody.bsky.test", "nobody has the handle nobody.bsky.test now"),
        ("actors", "nobody", "'nobody' is no actor: use a handle"),
        ("lists", "at://nobody.bsky.test/app.bsky.graph.list/3kabc", "nobody has the handle nobody.bsky.test now"),
        ("lists", f"at://{NOBODY}/app.bsky.graph.list/3kabc", "Copy its link anew, or take it out. (127.0.0.1"),
        ("lists", "https://bsky.app/profile/mara.bsky.test", "is no list: use https://"),
        ("starter_packs", "https://bsky.app/starter-pack/nobody.bsky.test/3kabc", "has the handle nobody.bsky.test"),
        ("starter_packs", f"https://bsky.app/starter-pack/{NOBODY}/3kabc", "Copy its link anew, or take it out. ("),
        ("starter_packs", "https://go.bsky.app/NoSuch", "Copy its link anew, or take it out. (127.0.0.1"),
    ],
)
def test_a_value_that_leads_to_nobody_is_named_with_its_setting_and_what_to_do(
    sample_server: SampleServer, setting: str, value: str, said: str
) -> None:
    with pytest.raises(NobodyToFollow) as error:
        read(sample_server, **{setting: [value]})
    line = str(error.value)
    assert line.startswith(f"{setting} in [sources.bluesky] (or --")
    assert f"{value!r}" in line
    assert said in line
    assert "\n" not in line


@pytest.mark.parametrize("name", ["ghosted", "spammy", "gone"])
def test_an_actor_whose_account_is_unavailable_is_named_with_the_setting(
    sample_server: SampleServer, world: World, name: str
) -> None:
    value = f"https://bsky.app/profile/{world.actor(name).did}"
    roster = read(sample_server, actors=[value, world.actor("nils").did])
    [note] = roster.notes
    assert note.startswith(f"actors in [sources.bluesky] (or --actor) names {value!r}, whose account is deactivated,")
    assert roster.problems == []


def test_a_service_that_fails_is_named_with_what_was_to_be_read(sample_server: SampleServer, pack: str) -> None:
    sample_server.faults.add(Fault.BAD_GATEWAY, nsid="app.bsky.graph.getStarterPack", times=None)
    with pytest.raises(
        NobodyToFollow, match=r"^starter_packs in \[sources\.bluesky\].* names 'at://.*: 127\.0\.0\.1.*502"
    ):
        read(sample_server, starter_packs=[pack])
