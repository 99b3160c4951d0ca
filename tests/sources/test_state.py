"""The cursors are those of the lake, whatever became of the working folder, the lake or the run."""

from __future__ import annotations

import copy
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from dlt.common.runtime import signals
from dlt.extract.state import reset_resource_state
from dlt.pipeline.exceptions import PipelineStepFailed
from hypothesis import given
from hypothesis import strategies as st

from pipelines import bluesky
from pipelines.lake.loads import signal_behind
from pipelines.lake.packed import pack
from pipelines.lake.working_folder import open_pipeline, recover
from pipelines.network.appview import AppView
from pipelines.sources.clients import WORKERS
from pipelines.sources.feed_walk import AuditState, MemberState
from pipelines.sources.member_states import MOST_IN_THE_OPEN, MemberStates, member_states

if TYPE_CHECKING:
    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World
    from tests.conftest import Lake

NAMES = ("nils", "tomasz", "silent")


@pytest.fixture
def actors(world: World) -> list[str]:
    return [world.actor(name).did for name in NAMES]


def truth(world: World, actors: list[str]) -> set[tuple[str, str]]:
    return {(did, item.uri) for did in actors for item in world.on(1).feed(did)}


def landed(lake: Lake) -> set[tuple[str, str]]:
    return {(row["member_did"], row["item_uri"]) for row in lake.query("from author_feed")}


def test_a_lake_that_was_deleted_is_filled_anew(
    lake: Lake, sample_server: SampleServer, world: World, actors: list[str]
) -> None:
    lake.pull(sample_server, actors=actors)
    shutil.rmtree(lake.dataset)
    pull = lake.pull(sample_server, actors=actors)
    assert pull.exit_code == 0
    assert landed(lake) == truth(world, actors)
    assert pull.run.new_item_count == len(truth(world, actors))


def test_a_working_folder_that_was_lost_costs_nothing(
    lake: Lake, sample_server: SampleServer, actors: list[str]
) -> None:
    lake.pull(sample_server, actors=actors)
    shutil.rmtree(os.environ["DLT_DATA_DIR"])
    pull = lake.pull(sample_server, actors=actors)
    assert pull.run.new_item_count == 0
    assert pull.requests["getAuthorFeed"] == len(actors)


@pytest.mark.slow
def test_another_lake_has_its_own_cursors(
    lake: Lake, sample_server: SampleServer, world: World, actors: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.pull(sample_server, actors=actors)
    first_lake = landed(lake)
    monkeypatch.setenv("DESTINATION__FILESYSTEM__BUCKET_URL", "_data/other_lake")
    pull = lake.pull(sample_server, actors=actors)
    assert pull.run.new_item_count == len(truth(world, actors)), "all of it again: nothing is in the new lake"
    assert "other_lake" in pull.output
    assert landed(lake) == first_lake
    assert len(list((lake.folder / "_data" / "other_lake").rglob("author_feed/**/*.parquet"))) == 1

    monkeypatch.delenv("DESTINATION__FILESYSTEM__BUCKET_URL")
    back = lake.pull(sample_server, actors=actors)
    assert back.run.new_item_count == 0
    assert back.requests["getAuthorFeed"] == len(actors)


def test_a_long_first_night_is_loaded_in_parts(lake: Lake, sample_server: SampleServer, world: World) -> None:
    """Each part is a load of its own, so that a run that ends keeps its progress; nobody is asked for twice."""
    lake.items_per_load = 200
    pack = world.packs[1]
    pull = lake.pull(sample_server, starter_packs=[pack.uri], lists=[world.lists[0].uri])
    assert pull.exit_code == 0
    pulls = lake.query("from feed_pulls")
    assert len({row["_dlt_load_id"] for row in pulls}) >= 2
    assert len({row["member_did"] for row in pulls}) == len(pulls)
    assert {did for did, _ in landed(lake)} == {row["member_did"] for row in pulls if row["item_count"]}
    assert landed(lake) == truth(world, [row["member_did"] for row in pulls])
    assert pull.requests["getStarterPack"] == 1
    assert pull.requests["getList"] == 2
    assert pull.requests["getAuthorFeed"] == sum(row["page_count"] for row in pulls)
    for table, rows in (("starter_packs", 2), ("profiles", len(pulls))):
        assert lake.query(f"select count(*) as rows from {table}") == [{"rows": rows}]
    again = lake.pull(sample_server, starter_packs=[pack.uri], lists=[world.lists[0].uri])
    assert again.run.new_item_count == 0, "the cursors of all parts are kept"
    assert again.requests["getAuthorFeed"] == len(pulls)


@pytest.mark.parametrize("is_folder_lost", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_long_first_night_that_dies_in_its_second_load_is_gone_on_with(
    lake: Lake, sample_server: SampleServer, world: World, monkeypatch: pytest.MonkeyPatch, is_folder_lost: bool
) -> None:
    lake.items_per_load = 200
    pack, own_load, loads = world.packs[1], bluesky.Night.load, list[object]()

    def dies(night: bluesky.Night, *arguments: Any) -> None:
        loads.append(night)
        if len(loads) == 2:
            raise MemoryError
        own_load(night, *arguments)

    monkeypatch.setattr(bluesky.Night, "load", dies)
    with pytest.raises(MemoryError):
        lake.pull(sample_server, starter_packs=[pack.uri])
    first = landed(lake)
    assert first
    if is_folder_lost:
        shutil.rmtree(os.environ["DLT_DATA_DIR"])
    again = lake.pull(sample_server, starter_packs=[pack.uri])
    everything = truth(world, world.on(1).followed(pack.list))
    assert first < everything
    assert landed(lake) == everything
    assert again.run.new_item_count == len(everything) - len(first), "nothing that the first load had is new"


def test_a_signal_ends_the_walks_at_their_next_page_though_dlt_has_no_table_yet(
    lake: Lake, sample_server: SampleServer, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_page = AppView.feed_page

    def signalled(*args: Any, **options: Any) -> Any:
        signals.set_received_signal(signal.SIGINT)
        return read_page(*args, **options)

    monkeypatch.setattr(AppView, "feed_page", signalled)
    with pytest.raises(PipelineStepFailed) as ended:
        lake.pull(sample_server)
    assert signal_behind(ended.value) == signal.SIGINT
    asked = [request for request in sample_server.requests if "getAuthorFeed" in request.nsid]
    assert len(asked) <= WORKERS < len(world.on(1).followed(world.packs[0].list))


def test_a_member_who_leaves_and_comes_back_has_no_gap(lake: Lake, sample_server: SampleServer, world: World) -> None:
    mara, nils = world.actor("mara").did, world.actor("nils").did
    lake.pull(sample_server, actors=[mara, nils])
    sample_server.day = 3
    lake.pull(sample_server, actors=[nils])
    sample_server.day = 5
    lake.pull(sample_server, actors=[mara, nils])
    on_day_5 = {item.uri for item in world.on(5).feed(mara)}
    assert on_day_5 <= {uri for did, uri in landed(lake) if did == mara}


def test_relative_paths_begin_at_the_project_wherever_the_command_is_started(
    lake: Lake, sample_server: SampleServer, actors: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    pull = lake.pull(sample_server, actors=actors)
    assert str(lake.dataset) in pull.output
    assert landed(lake)
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("what", ["author_feed", "--drop-all"])
def test_what_dlt_drops_is_read_anew(
    lake: Lake, sample_server: SampleServer, world: World, actors: list[str], what: str
) -> None:
    """The cursors go with the table that they stand for."""
    first = lake.pull(sample_server, actors=actors)
    command = [str(Path(sys.executable).with_name("dlt")), "--yes", "pipeline", "bluesky", "drop", what]
    subprocess.run(command, cwd=lake.folder, check=True, capture_output=True)
    assert not list(lake.dataset.rglob("author_feed/**/*.parquet"))
    again = lake.pull(sample_server, actors=actors)
    assert landed(lake) == truth(world, actors)
    assert again.run.new_item_count == first.run.new_item_count
    assert lake.pull(sample_server, actors=actors).run.new_item_count == 0


@pytest.mark.slow
def test_cursors_that_an_earlier_version_kept_elsewhere_are_taken_over(
    lake: Lake, sample_server: SampleServer, actors: list[str]
) -> None:
    lake.pull(sample_server, actors=actors)
    pipeline = recover(open_pipeline(lake.pipeline_name))
    with pipeline.managed_state(extract_state=True) as state:
        resources = state["sources"]["bluesky"]["resources"]
        members = MemberStates(resources.pop("author_feed")["members"]).by_did()
        resources["member_feeds"] = {"members": members, "tried": {}}
    pipeline.normalize()
    pipeline.load()
    known = set(bluesky.member_states(pipeline))
    assert known == set(actors)
    for _ in range(2):
        assert lake.pull(sample_server, actors=actors).run.new_item_count == 0
    assert set(bluesky.member_states(lake.pipeline())) == known


def test_cursors_of_an_earlier_version_are_given_up_with_a_table_that_was_dropped() -> None:
    assert member_states({"resources": {"member_feeds": {"members": {"did:plc:x": {}}}}}, {"feed_pulls"}).by_did() == {}


@pytest.mark.parametrize(
    ("dropped", "is_back"), [("feed_audits", False), ("record_checks", False), ("record_checks", True)]
)
def test_what_is_remembered_of_audits_goes_with_each_table_that_they_write(dropped: str, is_back: bool) -> None:
    """Checks write to `record_checks` before audits are due; and an audit that finds nothing never does."""
    audit = AuditState(audited_at="2026-03-01T00:00:00+00:00", rev="3kabc")
    state = MemberState(cursor=None, pulled_at="", swept_at="", end_uri=None, doubtful_end_uri=None)
    kept: dict[str, Any] = {"resources": {"author_feed": {"members": {"did:plc:x": state}}}}
    tables = {"author_feed", "feed_audits"}
    member_states(kept, tables).update({"did:plc:x": {**state, "audit": audit}})
    assert member_states(kept, tables).by_did()["did:plc:x"]["audit"] == audit
    reset_resource_state(dropped, kept)
    tables = tables | {"record_checks"} if is_back else tables - {dropped}
    assert "audit" not in member_states(kept, tables).by_did()["did:plc:x"]


def test_what_audits_kept_is_read_anew_where_it_was_dropped_and_the_audits_stand() -> None:
    audit = AuditState(audited_at="2026-03-01T00:00:00+00:00", rev="3kabc", is_whole=True, collections=["a.b.c"])
    state = MemberState(cursor=None, pulled_at="", swept_at="", end_uri=None, doubtful_end_uri=None)
    kept: dict[str, Any] = {"resources": {"author_feed": {"members": {"did:plc:x": state}}}}
    tables = {"author_feed", "feed_audits", "record_checks", "member_records"}
    member_states(kept, tables).update({"did:plc:x": {**state, "audit": audit}})
    assert member_states(kept, tables).by_did()["did:plc:x"]["audit"] == audit
    reset_resource_state("member_records", kept)
    left = member_states(kept, tables - {"member_records"}).by_did()["did:plc:x"]["audit"]
    assert (left["rev"], "collections" in left) == ("3kabc", False)


DIDS = st.sampled_from([f"did:plc:{letter}" for letter in "abcde"])
MOVED = st.dictionaries(DIDS, st.integers(0, 9).map(lambda count: text_state(posts_count=count)), max_size=5)


def text_state(**values: Any) -> MemberState:
    state = MemberState(cursor=None, pulled_at="", swept_at="", end_uri="\\ \u2713 'x'", doubtful_end_uri=None)
    return state | values  # type: ignore[return-value]


@given(st.lists(st.tuples(MOVED, st.booleans()), max_size=30))
def test_the_states_of_members_are_those_that_moved_last(moves: list[tuple[Any, bool]]) -> None:
    parts: list[Any] = []
    expected: dict[str, MemberState] = {}
    for moved, is_load in moves:
        before = copy.deepcopy(parts)
        MemberStates(parts).update(moved)
        assert parts[: len(before)] == before, "what was remembered before costs nothing"
        expected |= moved
        if is_load:
            assert MemberStates(parts).put_together() == expected
            assert len(parts) <= 1
        assert MemberStates(parts).by_did() == expected


@pytest.mark.parametrize(("count", "kinds"), [(MOST_IN_THE_OPEN, {dict}), (MOST_IN_THE_OPEN + 1, {str})])
def test_the_states_of_many_members_are_packed_and_those_of_few_can_be_read(count: int, kinds: set[type]) -> None:
    """Also those of an earlier version, which had no parts."""
    members = {f"did:plc:{number}": text_state() for number in range(count)}
    kept: dict[str, Any] = {"resources": {"author_feed": {"members": dict(members)}}}
    for _ in range(2):
        states = member_states(kept, {"author_feed"})
        assert states.put_together() == members
        states.update({"did:plc:1": text_state()})
        assert {type(part) for part in kept["resources"]["author_feed"]["members"]} == kinds


def test_the_states_of_a_long_first_night_are_put_together_a_few_times() -> None:
    chance, parts, moved, times = random.Random(1), list[Any](), 0, 0
    for _ in range(200):
        states = MemberStates(parts)
        if states.is_long:
            states.put_together()
            times += 1
        states.update({f"did:plc:{chance.getrandbits(120):x}": text_state() for _ in range(20)})
        moved += 20
    assert len(MemberStates(parts).by_did()) == moved
    assert times < 12, "fewer and fewer, the more there are"
    assert all(isinstance(part, str) for part in parts)
    assert sum(map(len, parts)) < 2 * len(pack(MemberStates(parts).by_did()))
