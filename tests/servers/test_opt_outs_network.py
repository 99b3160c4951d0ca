"""Opt-outs and blocks on Bluesky's own server code: who is read, who is in a report and who is on the page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pytest
import urllib3

from pipelines import report
from pipelines.live import firehose_feed, lake_members
from pipelines.sources.bluesky import bluesky
from pipelines.sources.pull_run import PullRun
from tests.dbt_command import run_dbt
from tests.live.conftest import QUICK, wait_until
from tests.servers.changing_world import Person, ago

if TYPE_CHECKING:
    from tests.conftest import Lake
    from tests.live.conftest import LiveLake

Json = dict[str, Any]

OPT_OUT = "app.bsky.graph.referencelistoptout"
BLOCK = "app.bsky.graph.block"
NAMES = ("stays", "early", "late", "back", "partly", "heard", "blocker", "blocked", "plain", "talker")
LISTS = {
    "pack": ("referencelist", [name for name in NAMES if name not in {"plain", "talker"}]),
    "plain": ("referencelist", ["stays", "partly", "plain"]),
    "talks": ("curatelist", ["talker"]),
}
"""What is followed: a pack, a plain list of a kind that can be opted out of, and one that cannot."""


def write(who: Person, collection: str, **value: Any) -> str:
    """Write a record; its URI comes back."""
    record = {"$type": collection, "createdAt": ago(timedelta())} | value
    [result] = who.apply({"$type": "com.atproto.repo.applyWrites#create", "collection": collection, "value": record})
    uri: str = result["uri"]
    return uri


def delete(who: Person, uri: str) -> None:
    _, _, _, collection, rkey = uri.split("/")
    who.apply({"$type": "com.atproto.repo.applyWrites#delete", "collection": collection, "rkey": rkey})


@dataclass
class Community:
    """People on the network in three lists, and what a lake, its reports and its page have of them."""

    atnet: Json
    live: LiveLake

    def __post_init__(self) -> None:
        self.creator = Person(self.atnet)
        self.people = {name: Person(self.atnet) for name in NAMES}
        self.names = {person.did: name for name, person in self.people.items()}
        self.lists: dict[str, str] = {}
        for key, (purpose, members) in LISTS.items():
            uri = write(self.creator, "app.bsky.graph.list", name=key, purpose=f"app.bsky.graph.defs#{purpose}")
            for name in members:
                write(self.creator, "app.bsky.graph.listitem", list=uri, subject=self.people[name].did)
            self.lists[key] = uri
        self.pack = write(self.creator, "app.bsky.graph.starterpack", name="Pack", list=self.lists["pack"])
        for name, person in self.people.items():
            person.introduce(f"The one who is {name}")
            person.post(timedelta(hours=1), timedelta(hours=2))

    def opt_out(self, name: str, key: str) -> str:
        return write(self.people[name], OPT_OUT, subject=self.lists[key])

    def pull(self, **settings: Any) -> tuple[set[str], dict[str, str]]:
        """Pull once; who was walked, and why members of the pack or the plain list are hidden."""
        assert urllib3.request("POST", f"{self.atnet['control']}/settle", timeout=150).status == 200
        begun, run = datetime.now(UTC), PullRun()
        self.live.lake.pipeline().run(
            bluesky(
                service=self.atnet["appview"],
                plc_directory=self.atnet["plc"],
                starter_packs=[self.pack],
                lists=[self.lists["plain"], self.lists["talks"]],
                requests_per_second=500.0,
                run=run,
                **settings,
            )
        )
        assert run.roster is not None
        assert run.roster.problems == run.notes == []
        walks = self.live.lake.query(f"select member_did from feed_pulls where observed_at >= '{begun}'")
        hidden = {self.names[row["did"]]: row["hidden_because"] for row in run.roster.members if not row["is_listed"]}
        assert {self.names[did] for did in lake_members(dlt.pipeline("bluesky_firehose")).dids} == {
            self.names[did] for did in run.followed
        } - ({"blocked"} if settings else set()), "the live job listens to those whom the pull reads, by the settings"
        return {self.names[walk["member_did"]] for walk in walks}, hidden

    def hear(self, *records: tuple[str, str]) -> None:
        """Let the live job run, and people opt out meanwhile, with the settings that are shipped."""
        url = self.atnet["pds"].replace("http", "ws", 1)
        members = lake_members(dlt.pipeline("bluesky_firehose"))
        feed = firehose_feed(dids=members.dids, limits=QUICK, firehose_service=url)
        with self.live.running(feed):
            wait_until(lambda: feed.is_caught_up)
            for name, key in records:
                self.opt_out(name, key)
            wait_until(lambda: any(row["collection"] == OPT_OUT for row in self.live.rows()))

    def published(self) -> set[str]:
        """Build the warehouse and the page; whoever is named in them, by any of their names."""
        lake: Lake = self.live.lake
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DBT_TARGET_PATH", str(lake.folder / "target"))
            patch.setenv("DBT_LOG_PATH", str(lake.folder / "logs"))
            outcome = run_dbt("run")
        assert outcome.success, outcome.exception
        assert report.main([]) == 0
        page = (lake.folder / "_data" / "report.html").read_text(encoding="utf-8")
        with duckdb.connect(str(lake.folder / "_data" / "bluesky.duckdb"), read_only=True) as warehouse:
            rows = warehouse.sql("select did, withheld_because from int_publishable_authors").fetchall()
            reports = [
                str(name)
                for (name,) in warehouse.sql("select table_name from duckdb_tables()").fetchall()
                if str(name).startswith("rpt_")
            ]
            assert len(reports) > 15
            texts = {
                name: "\n".join(text for (text,) in warehouse.sql(f"select r::varchar from {name} as r").fetchall())
                for name in reports
            }
        publishable = {self.names[did] for did, because in rows if because is None and did in self.names}
        for did, name in self.names.items():
            for where, text in {**texts, "the page": page}.items():
                assert name in publishable or (did not in text and f"The one who is {name}" not in text), where
            if name in publishable:
                assert did in texts["rpt_members"], name
                assert f"The one who is {name}" in page, name
        return publishable


def test_who_opts_out_or_is_in_a_block_is_neither_read_nor_shown(atnet: Json, live: LiveLake) -> None:
    community = Community(atnet, live)
    taken_back = [community.opt_out("back", "pack"), community.opt_out("early", "pack")][0]
    community.opt_out("plain", "plain")
    community.opt_out("talker", "talks")
    block = write(community.people["blocker"], BLOCK, subject=community.creator.did)
    write(community.creator, BLOCK, subject=community.people["blocked"].did)

    walked, hidden = community.pull()
    assert walked == {"stays", "late", "partly", "heard", "talker"}, "a curation list cannot be opted out of"
    assert hidden == {
        **dict.fromkeys(("early", "back", "plain"), "opted_out"),
        "blocker": "blocks_creator",
        "blocked": "blocked_by_creator",
    }
    assert community.published() == walked

    # Between two nights.
    of_late = community.opt_out("late", "pack")
    community.opt_out("partly", "pack")
    delete(community.people["back"], taken_back)
    walked, hidden = community.pull()
    assert walked == {"stays", "back", "partly", "heard", "talker"}, "in the plain list, one stays"
    assert {name for name, because in hidden.items() if because == "opted_out"} == {"early", "plain", "late", "partly"}
    assert community.published() == walked

    # Heard live, and not asked yet.
    community.hear(("heard", "pack"))
    assert community.published() == walked - {"heard"}

    delete(community.people["late"], of_late)
    delete(community.people["blocker"], block)
    walked, hidden = community.pull(follow_blocked=True)
    assert hidden == {
        **dict.fromkeys(("early", "plain", "partly", "heard"), "opted_out"),
        "blocked": "blocked_by_creator",
    }
    assert walked == {"stays", "back", "partly", "talker", "late", "blocker", "blocked"}
    assert community.published() == walked - {"blocked"}
