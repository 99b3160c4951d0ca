"""Strangers who are hostile cost a night a bounded time, and nobody but themselves anything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipelines.network import repositories, xrpc
from pipelines.network.budgets import Budget, Patience
from pipelines.sample.appview.server import SampleServer
from pipelines.sample.world.world import World
from tests.hostile_night.nights import hide_somebody, hostile, spend_night
from tests.hostile_night.strangers import Strangers

if TYPE_CHECKING:
    from tests.conftest import Lake

SEED = 7


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let budgets be of seconds: as short as a machine that is busy with other tests can keep to."""

    def account(patience: Patience) -> Budget:
        return Budget("one account", requests=60, size=10_000_000, seconds=6, own_seconds=3, patience=patience)

    def repository(patience: Patience) -> Budget:
        return Budget("one repository", seconds=20, own_seconds=3, patience=patience)

    monkeypatch.setattr(repositories, "account_budget", account)
    monkeypatch.setattr(repositories, "repository_budget", repository)
    monkeypatch.setattr(repositories, "SHARED_SECONDS", 10.0)
    monkeypatch.setattr(xrpc, "STREAM_STARTS", 5.0)


@pytest.mark.slow
@pytest.mark.usefixtures("little_patience")
def test_everybody_but_the_hostile_is_loaded_and_audited_and_each_of_these_is_named_once(lake: Lake) -> None:
    world = World(SEED)
    day, lists = world.on(1), [*(pack.list for pack in world.packs), *world.lists]
    members = sorted({item.subject for one in lists for item in day.listed(one)})
    creators = [one.creator for one in lists]
    ways, documents = hostile(creators, [did for did in members if did not in creators])
    troubled = (ways.keys() | documents.keys()) & set(members)

    with SampleServer(world) as server, Strangers(server.url, ways, documents) as strangers:
        hide_somebody(server)
        night = spend_night(lake, server, strangers.directory.url, timeout=2, max_attempts=2, backoff=0.001)

    assert night.exit_code == 2
    rows = lake.query("select distinct member_did, item_uri from author_feed")
    assert {(row["member_did"], row["item_uri"]) for row in rows} == {
        (did, item.uri) for did in members for item in day.feed(did)
    }, "the service shows everybody's feed, whatever their own server does"
    assert night.run.roster
    problems = night.run.roster.problems
    assert len(problems) == len(lists)
    for uri in (*(pack.uri for pack in world.packs), *(one.uri for one in world.lists)):
        assert sum(uri in problem for problem in problems) == 1
    audits = {row["member_did"]: row["outcome"] for row in lake.query("from feed_audits")}
    assert {did for did, outcome in audits.items() if outcome == "verified"} == set(members) - troubled
    assert {audits[did] for did in troubled} <= {"failed", "refused"}
    assert sorted(note.partition(": ")[0] for note in night.audits.notes) == sorted(troubled)
    assert all(line.isprintable() for line in (*problems, *night.run.notes, *night.audits.notes))
    assert sum(night.seconds) < 120
