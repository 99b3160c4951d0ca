"""Why a member is hidden, as the services and the member's own server say it; who opted out is left alone."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from pipelines.lake.bucket import use_project_settings
from pipelines.live import heard, lake_members
from pipelines.network.appview import AppView
from pipelines.network.connect import Network
from pipelines.network.pacing import Pacer
from pipelines.network.repositories import Repositories
from pipelines.sample.appview.faults import Fault
from pipelines.sources import hidden_members
from pipelines.sources.hidden_members import MOST_PAGES, OPT_OUT, HiddenMember, HiddenMembers
from pipelines.sources.hidden_search import ListMemory
from pipelines.sources.roster import Roster, RosterReader, Seeds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World
    from tests.conftest import Lake

Json = dict[str, Any]
Memories = dict[str, ListMemory]

LIST_RECORDS = "com.atproto.repo.listRecords"
RELATIONSHIPS = "app.bsky.graph.getRelationships"


def read(
    server: SampleServer,
    day: int,
    memories: Memories | None = None,
    *,
    follow_blocked: bool = False,
    **seeds: list[str],
) -> Roster:
    """Read the roster of a day, of both packs if no seeds are named."""
    server.day = day
    appview = AppView(server.url, Pacer(10_000), backoff=0.001, max_attempts=2)
    network = Network(appview, Repositories(appview, server.url), server.url)
    packs = {"starter_packs": [pack.uri for pack in server.world.packs]}
    memories = {} if memories is None else memories
    reader = RosterReader(network, lambda: datetime(2026, 3, 2, tzinfo=UTC), 4, memories, follow_blocked)
    return reader.with_hidden(reader.read(Seeds(**(seeds or packs))))


def hidden(roster: Roster, world: World) -> dict[str, str]:
    return {world.actors[row["did"]].name: row["hidden_because"] for row in roster.members if not row["is_listed"]}


def names(roster: Roster, world: World) -> set[str]:
    return {world.actors[did].name for did in roster.dids}


def opt_outs(change: Callable[[Json], object]) -> Callable[[bytes], bytes]:
    """Change the records of opt-outs as they are served."""

    def changed(body: bytes) -> bytes:
        page = msgspec.json.decode(body)
        for record in page["records"]:
            if record["value"]["$type"] == OPT_OUT:
                change(record["value"])
        return msgspec.json.encode(page)

    return changed


def test_each_reason_is_told_and_who_opted_out_is_not_followed(sample_server: SampleServer, world: World) -> None:
    before, after = read(sample_server, 1), read(sample_server, 4)
    gone = dict.fromkeys(("ghosted", "spammy", "gone"), "unavailable")
    assert hidden(before, world) == {**gone, "aloof": "blocks_creator"}
    assert hidden(after, world) == {**gone, "aloof": "blocks_creator", "greta": "opted_out", "felix": "opted_out"}
    assert {"greta", "felix"} <= names(before, world)
    assert {"greta", "aloof"}.isdisjoint(names(after, world))
    assert "felix" in names(after, world), "who opts out of one pack stays in the other"
    assert world.actor("greta").did not in after.profiles
    assert after.problems == after.notes == []
    assert "raul" in names(after, world), "and who takes it back is back"
    assert "raul" not in names(read(sample_server, 3), world)


def test_who_is_in_a_block_is_followed_only_if_the_settings_want_it(sample_server: SampleServer, world: World) -> None:
    assert "aloof" in names(read(sample_server, 1, follow_blocked=True), world)
    mara, aloof = world.actor("mara").did, world.actor("aloof").did

    def turn_round(body: bytes) -> bytes:
        return body.replace(b'"blockedBy"', b'"blockingByList"')

    sample_server.faults.mutate(turn_round, nsid=RELATIONSHIPS)
    roster = read(sample_server, 1)
    assert hidden(roster, world)["aloof"] == "blocked_by_creator"
    [asked] = [request.params for request in sample_server.requests[-8:] if request.nsid == RELATIONSHIPS]
    assert (asked["actor"], asked["others"]) == (mara, aloof)
    # Whom the settings name is followed for that.
    assert "aloof" in names(read(sample_server, 1, starter_packs=[world.packs[0].uri], actors=[aloof]), world)


def test_an_opt_out_may_name_the_pack(sample_server: SampleServer, world: World) -> None:
    pack = world.packs[0]
    change = opt_outs(lambda value: value.update(subject=pack.uri) if value["subject"] == pack.list.uri else None)
    sample_server.faults.mutate(change, nsid=LIST_RECORDS)
    assert hidden(read(sample_server, 3), world)["greta"] == "opted_out"


@pytest.mark.parametrize("fault", [Fault.BAD_GATEWAY, Fault.NOT_IMPLEMENTED, Fault.LIST_MISSING, Fault.FORBIDDEN])
def test_an_opt_out_that_cannot_be_asked_counts_as_one(sample_server: SampleServer, world: World, fault: Fault) -> None:
    greta = world.actor("greta").did
    sample_server.faults.add(fault, nsid=LIST_RECORDS, actor=greta, times=None)
    roster = read(sample_server, 3, starter_packs=[world.packs[0].uri])
    assert hidden(roster, world)["greta"] == "opt_out_unknown"
    assert "greta" not in names(roster, world)
    assert roster.problems == [], "a server that is gone for good must not fail each night"
    [note] = roster.notes
    assert greta in note


@pytest.mark.parametrize("subject", [5, None, "at://did:plc:somebody/app.bsky.graph.list/else"])
def test_whoever_is_hidden_for_no_reason_is_not_followed(
    sample_server: SampleServer, world: World, subject: Any
) -> None:
    sample_server.faults.mutate(opt_outs(lambda value: value.update(subject=subject)), nsid=LIST_RECORDS)
    roster = read(sample_server, 3)
    assert hidden(roster, world)["greta"] == hidden(roster, world)["raul"] == "opt_out_unknown"
    assert {"greta", "raul"}.isdisjoint(names(roster, world))


@pytest.mark.parametrize("longest", [-1.0, 60.0])
def test_opt_outs_without_an_end_may_hold_one(monkeypatch: pytest.MonkeyPatch, longest: float) -> None:
    """Also of somebody in a block, whom the settings may want to be read."""
    monkeypatch.setattr(hidden_members, "LONGEST", longest)
    member = HiddenMember("did:plc:b", "at://did:plc:a/app.bsky.graph.starterpack/p", "at://did:plc:a/l/l")
    asked = 0

    def records(*_: str) -> Iterator[list[msgspec.Raw]]:
        nonlocal asked
        while True:
            asked += 1
            yield [msgspec.Raw(b'{"value":{"subject":"at://did:plc:c/l/%d"}}' % asked)]

    block = msgspec.Raw(b'{"did":"did:plc:b","blockedBy":"at://did:plc:b/block/1"}')
    network = SimpleNamespace(
        repositories=SimpleNamespace(pds_endpoint=lambda _: "https://pds.example", records=records),
        appview=SimpleNamespace(relationships=lambda *_: [block]),
    )
    asking = HiddenMembers(cast("Network", network), 1)
    assert asking.reasons([member], set()) == {member: "opt_out_unknown"}
    assert asked == (1 if longest < 0 else MOST_PAGES)
    assert len(asking.notes) == 1


def test_a_list_of_any_number_of_hidden_people_is_asked_about_for_a_while(
    sample_server: SampleServer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hidden_members, "LONGEST_FOR_ALL", -1.0)
    roster = read(sample_server, 3)
    assert hidden(roster, world)["greta"] == "opt_out_unknown"
    assert {"greta", "raul"}.isdisjoint(names(roster, world))
    assert any("time for asking" in note for note in roster.notes)
    assert not any(request.nsid == LIST_RECORDS and OPT_OUT in str(request) for request in sample_server.requests)


def test_blocks_that_cannot_be_asked_make_nobody_followed(sample_server: SampleServer, world: World) -> None:
    sample_server.faults.add(Fault.NOT_IMPLEMENTED, nsid=RELATIONSHIPS, times=None)
    roster = read(sample_server, 1, follow_blocked=True)
    assert hidden(roster, world)["aloof"] == "opt_out_unknown"
    assert "aloof" not in names(roster, world)
    [problem] = roster.problems
    assert "blocks" in problem


def test_who_opted_out_stays_so_while_nobody_can_be_asked(sample_server: SampleServer, world: World) -> None:
    memories: Memories = {}
    pack, greta = world.packs[0], world.actor("greta").did
    assert hidden(read(sample_server, 3, memories, starter_packs=[pack.uri]), world)["greta"] == "opted_out"
    assert greta not in str(memories), "dlt's state names nobody for it"

    def without_greta(body: bytes) -> bytes:
        page = msgspec.json.decode(body)
        page["profiles"] = [profile for profile in page["profiles"] if profile["did"] != greta]
        return msgspec.json.encode(page)

    sample_server.faults.mutate(without_greta, nsid="app.bsky.actor.getProfiles")
    for _ in range(2):
        assert hidden(read(sample_server, 3, memories, starter_packs=[pack.uri]), world)["greta"] == "opted_out"
    assert hidden(read(sample_server, 3, starter_packs=[pack.uri]), world)["greta"] == "unavailable"
    sample_server.faults.clear()
    sample_server.faults.add(Fault.BAD_GATEWAY, nsid=LIST_RECORDS, actor=greta, times=None)
    assert hidden(read(sample_server, 3, memories, starter_packs=[pack.uri]), world)["greta"] == "opted_out"


def test_an_opt_out_of_a_pack_is_remembered_where_its_list_is_followed_too(
    sample_server: SampleServer, world: World
) -> None:
    memories: Memories = {}
    pack, greta = world.packs[0], world.actor("greta").did
    change = opt_outs(lambda value: value.update(subject=pack.uri) if value["subject"] == pack.list.uri else None)
    sample_server.faults.mutate(change, nsid=LIST_RECORDS)

    def of_pack() -> str:
        roster = read(sample_server, 3, memories, starter_packs=[pack.uri], lists=[pack.list.uri])
        [row] = [row for row in roster.members if (row["did"], row["pack_uri"]) == (greta, pack.uri)]
        return str(row["hidden_because"])

    assert of_pack() == "opted_out"
    sample_server.faults.clear()
    sample_server.faults.add(Fault.BAD_GATEWAY, nsid=LIST_RECORDS, actor=greta, times=None)
    for _ in range(2):
        assert of_pack() == "opted_out"


def test_a_search_that_breaks_off_leaves_what_it_found(sample_server: SampleServer, world: World) -> None:
    """Some of the hidden are known then, and nothing is remembered."""
    pack, pages = world.packs[0], 0

    def in_pages(body: bytes) -> bytes:
        nonlocal pages
        page = msgspec.json.decode(body)
        if page["records"] and page["records"][0]["value"]["$type"] == "app.bsky.graph.listitem":
            pages += 1
            page |= {"records": page["records"][:15], "cursor": "next"} if pages == 1 else {"records": 5}
        return msgspec.json.encode(page)

    sample_server.faults.mutate(in_pages, nsid=LIST_RECORDS)
    roster = read(sample_server, 3, starter_packs=[pack.uri])
    assert not roster.starter_packs[0]["is_membership_complete"]
    assert set(hidden(roster, world).values()) == {"unavailable", "blocks_creator"}, "not greta, who is further down"


def test_a_quiet_night_asks_once_for_each_hidden_member_who_is_there(sample_server: SampleServer, world: World) -> None:
    memories: Memories = {}
    read(sample_server, 4, memories)
    asked_before = len(sample_server.requests)
    read(sample_server, 4, memories)
    asked = Counter(request.nsid.rpartition(".")[2] for request in sample_server.requests[asked_before:])
    # Of greta, felix and aloof; their servers are found by their DID documents, and the creators' too.
    assert asked["listRecords"] == 3
    assert asked["getRelationships"] == 1
    assert asked["getRecord"] == 6, "who is hidden, one by one"
    assert world.actor("stefan").did not in {request.params.get("repo") for request in sample_server.requests}


def test_the_live_job_listens_to_nobody_who_opted_out_and_to_opt_outs_always(
    lake: Lake, sample_server: SampleServer, world: World
) -> None:
    sample_server.day = 3
    pull = lake.pull(sample_server, follow_blocked=True)
    assert pull.exit_code == 0
    followed = lake_members(lake.pipeline()).dids
    assert followed == frozenset(world.on(3).followed(world.packs[0].list))
    both = lake_members(lake.pipeline(), follow_blocked=True).dids
    assert both - followed == {world.actor("aloof").did}
    walked = {row["member_did"] for row in lake.query("from feed_pulls")}
    assert walked == both
    assert heard(["app.bsky.feed.post"]) == ["app.bsky.feed.post", OPT_OUT]
    assert heard([]) == [], "all"


def test_settings_from_before_there_were_blocks_in_them_are_enough(
    lake: Lake, sample_server: SampleServer, world: World
) -> None:
    settings = lake.folder / ".dlt" / "config.toml"
    lines = settings.read_text().splitlines(keepends=True)
    settings.write_text("".join(line for line in lines if not line.startswith("follow_blocked")))
    use_project_settings()
    mara = world.actor("mara").did
    assert lake.pull(sample_server, starter_packs=[], actors=[mara]).exit_code == 0
    assert lake_members(lake.pipeline()).dids == {mara}
