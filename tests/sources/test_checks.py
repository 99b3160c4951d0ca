"""The job's part of checks: from the questions of a warehouse to answers in the lake."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING

import duckdb
import pytest

from pipelines import bluesky, checks
from pipelines.audits import AuditSummary, audits_due, notes_of_waiting
from pipelines.bluesky import main, member_states
from pipelines.checks import Checking
from pipelines.lake.working_folder import open_pipeline, recover
from pipelines.network.appview import AppView
from pipelines.network.connect import Network
from pipelines.network.pacing import Pacer
from pipelines.network.repositories import Repositories
from pipelines.sample.appview.faults import Fault
from pipelines.sources.feed_walk import AuditState, MemberState
from pipelines.warehouse import BuildOutcome
from tests.sources.member_feed import NOW
from tests.sources.open_questions import doubt
from tests.sources.test_record_checks import GET_POSTS, GET_RECORD, records_of, some_of_each

if TYPE_CHECKING:
    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World
    from tests.conftest import Lake


def checking(lake: Lake, server: SampleServer) -> Checking:
    appview = AppView(server.url, Pacer(10_000), backoff=0.001, max_attempts=2)
    network = Network(appview, Repositories(appview, server.url), server.url)
    return Checking(recover(open_pipeline(lake.pipeline_name)), network, lambda: NOW)


def test_answers_are_loaded_a_load_for_so_many_and_said_in_a_line(
    lake: Lake, world: World, sample_server: SampleServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    nils = world.actor("nils").did
    assert lake.pull(sample_server, actors=[nils]).exit_code == 0
    states_before = member_states(lake.pipeline())
    sample_server.requests.clear()
    states = records_of(world, 1)
    uris = some_of_each(states, 6)
    doubt(lake.folder, uris)
    monkeypatch.setattr(checks, "QUESTIONS_PER_LOAD", 20)
    done = checking(lake, sample_server).check()
    assert done.load_count == 2
    assert done.question_count == len(uris)
    assert done.request_count == len(sample_server.requests)
    assert done.exit_code == 0
    assert f"{len(uris)} records asked for, {len(sample_server.requests)} requests: " in str(done)
    assert f"{done.outcomes['record_gone']} record_gone" in str(done)
    rows = lake.query("select uri, outcome, _dlt_load_id as load from record_checks")
    assert {row["uri"]: row["outcome"] for row in rows} == {uri: states[uri] for uri in uris}
    assert len({row["load"] for row in rows}) == 2
    shown = lake.query(
        f"select item_uri from author_feed where observed_at = timestamptz '{NOW}' and item_uri is not null"
    )
    assert {row["item_uri"] for row in shown} >= {uri for uri in uris if states[uri] == "shown"}
    assert member_states(lake.pipeline()) == states_before, "cursors stay where they are"

    doubt(lake.folder, uris)
    sample_server.requests.clear()
    again = checking(lake, sample_server).check()
    assert (again.question_count, again.load_count, sample_server.requests) == (0, 0, [])
    assert str(again) == "nothing vanished, nothing asked"


def test_what_nobody_could_answer_is_named_once_for_each_reason_and_asked_again(
    lake: Lake, world: World, sample_server: SampleServer
) -> None:
    uris = some_of_each(records_of(world, 1), 3)
    doubt(lake.folder, uris)
    sample_server.faults.add(Fault.BAD_GATEWAY, nsid=GET_POSTS, times=None)
    done = checking(lake, sample_server).check()
    assert done.exit_code == 2
    posts = sum("/app.bsky.feed.post/" in uri for uri in uris)
    assert done.outcomes["unknown"] == posts
    [said] = [line for line in str(done).splitlines() if "unknown: " in line]
    assert f"{posts} unknown: 127.0.0.1" in said
    assert GET_POSTS in said
    sample_server.faults.clear()
    doubt(lake.folder, uris)
    again = checking(lake, sample_server).check()
    assert again.question_count == posts
    assert again.exit_code == 0


def test_a_warehouse_without_questions_asks_nothing(lake: Lake, sample_server: SampleServer) -> None:
    path = lake.folder / "_data" / "bluesky.duckdb"
    path.parent.mkdir()
    duckdb.connect(str(path)).close()
    assert checking(lake, sample_server).check().question_count == 0


def test_the_job_asks_before_it_builds_and_says_what_is_open(
    lake: Lake,
    world: World,
    sample_server: SampleServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With a build that only makes the questions, as dbt takes ten seconds."""
    for name in ("SERVICE", "PLC_DIRECTORY", "SHORT_LINK_SERVICE"):
        monkeypatch.setenv(f"SOURCES__BLUESKY__{name}", sample_server.url)
    monkeypatch.setenv("SOURCES__BLUESKY__REQUESTS_PER_SECOND", "1000")
    states = records_of(world, 1)
    uris = some_of_each(states, 2)
    builds: list[bool] = []

    def build(is_sample: bool) -> BuildOutcome:
        builds.append(is_sample)
        doubt(lake.folder, uris)
        return BuildOutcome("bluesky", True, Counter({"model": 1}), 0.0)

    monkeypatch.setattr(bluesky, "build_questions", build)
    monkeypatch.setattr(bluesky, "build_warehouse", build)
    assert main(["--check", "--no-report"]) == 0
    assert len(builds) == 2
    assert all(request.nsid != "app.bsky.feed.getAuthorFeed" for request in sample_server.requests)
    output = capsys.readouterr().out
    assert output.index("questions  ") < output.index("checks  ") < output.index("warehouse  ")
    assert f"checks  {len(uris)} records asked for" in output

    assert main(["--check", "--no-report"]) == 0
    assert "nothing vanished" in capsys.readouterr().out

    uris.append(next(uri for uri, state in states.items() if state == "in_repository" and uri not in uris))
    sample_server.faults.add(Fault.FORBIDDEN, nsid=GET_RECORD, times=None)
    nils = world.actor("nils").did
    assert main(["--actor", nils, "--no-report"]) == 2
    assert "1 unknown: " in capsys.readouterr().out

    sample_server.faults.clear()
    assert main(["--actor", nils, "--no-report", "--no-transform"]) == 0
    assert len(builds) == 6


@pytest.mark.parametrize("other", ["--no-transform", "--dry-run", "--catch-up"])
def test_a_check_goes_on_from_the_build(other: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--check", other])
    assert "--check" in capsys.readouterr().err


def test_an_end_that_is_doubted_is_named_and_ends_in_exit_code_2_unless_an_audit_settles_it(
    lake: Lake, world: World, sample_server: SampleServer
) -> None:
    sample_server.faults.add(Fault.ENDS_EARLY, nsid="app.bsky.feed.getAuthorFeed", times=None)
    day = world.on(1)
    did = max(day.actors, key=lambda did: len(day.feed(did)))
    pull = lake.pull(sample_server, actors=[did])
    assert pull.exit_code == 2
    assert pull.run.doubtful == {did}
    assert "the feed ended after" in pull.output


def test_audits_are_due_after_so_many_days_and_where_an_end_is_doubted(
    lake: Lake, world: World, sample_server: SampleServer
) -> None:
    nils, mara = world.actor("nils").did, world.actor("mara").did
    lake.pull(sample_server, actors=[nils, mara])
    states = member_states(lake.pipeline())
    now = world.on(1).now
    assert set(audits_due(states, now, 7.0)) == {nils, mara}, "there was none yet"
    day = timedelta(days=1)
    for state in states.values():
        state["audit"] = {"audited_at": (now + day).isoformat(), "rev": "3kabc"}
    assert audits_due(states, now + 30 * day, 7.0) == [], "nobody was walked since"
    states[nils]["pulled_at"] = (now + 2 * day).isoformat()
    assert audits_due(states, now + 7 * day, 7.0) == []
    assert audits_due(states, now + 8 * day, 7.0) == [nils]
    assert audits_due(states, now + 3 * day, 7.0, gap_at=now) == []
    assert audits_due(states, now + 3 * day, 7.0, gap_at=now + 1.5 * day) == [nils], "something may have been missed"
    states[mara]["doubtful_end_uri"] = ""
    states["did:web:left.example"] = {**states[mara], "pulled_at": (now - 2 * day).isoformat()}
    assert set(audits_due(states, now + 8 * day, 7.0)) == {nils, mara}
    states[mara]["doubtful_end_uri"] = None
    assert set(audits_due(states, now, 7.0, is_all=True)) == {nils, mara}


@pytest.mark.parametrize("end", [None, "at://x"], ids=["", "doubtful end"])
@pytest.mark.parametrize("walked_days_later", [-1, 1, 20])
def test_an_audit_that_was_not_whole_is_made_anew_after_so_many_days_and_named_until_then(
    walked_days_later: int, end: str | None
) -> None:
    audited_at, day = NOW, timedelta(days=1)
    state = MemberState(
        cursor=None,
        pulled_at=(audited_at + walked_days_later * day).isoformat(),
        swept_at="",
        end_uri=None,
        doubtful_end_uri=end,
        audit=AuditState(audited_at=audited_at.isoformat(), rev=None, is_whole=False),
    )
    states = {"did:plc:x": state}
    assert audits_due(states, audited_at + 6.9 * day, 7.0) == []
    assert audits_due(states, audited_at + 7 * day, 7.0) == ["did:plc:x"]
    assert audits_due(states, audited_at + day, 7.0, is_all=True) == ["did:plc:x"]
    gap_at = audited_at + day
    assert audits_due(states, gap_at, 7.0, gap_at=gap_at) == (["did:plc:x"] if walked_days_later > 0 else [])

    waiting = AuditSummary(notes=notes_of_waiting(states, set()))
    assert waiting.exit_code == 2
    assert str(waiting).startswith("none is due\n  did:plc:x: not whole when audited at ")
    assert notes_of_waiting(states, {"did:plc:x"}) == []
    states["did:plc:y"] = {**state, "pulled_at": (audited_at + 31 * day).isoformat()}
    assert [note[:9] for note in notes_of_waiting(states, {"did:plc:y"})] == [], "x is followed no more"
