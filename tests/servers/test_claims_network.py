"""What the marts claim of people whose records change every night, while the AppView's feeds show less than there is.

Held against the people's own server, the PDS: nothing that it has is called gone, nothing that it lacks is published,
and what is called complete is complete. Two read the same nights, each into a lake of their own: one is told no events
between them, the other begins each night with what a Jetstream of the PDS remembers.

    pytest -n 0 -s -m slow tests/servers/test_claims_network.py    prints the requests of each night and audit
"""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from pipelines import bluesky, live
from pipelines.events.firehose import Firehose
from pipelines.lake.bucket import use_project_settings
from pipelines.warehouse import CHECKED_MODELS, BuildOutcome
from tests.conftest import Lake, isolated_lake
from tests.dbt_command import run_dbt
from tests.live.conftest import QUICK, LiveLake
from tests.servers.atnet.programs import jetstream_of
from tests.servers.atnet.resident import POST
from tests.servers.changing_world import FOLLOW, REPOST, ChangingWorld, Person, Written
from tests.servers.conftest import free_ports
from tests.servers.cutting_proxy import Cut, CuttingProxy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tests.servers.atnet.programs import Program

Json = dict[str, Any]
Row = tuple[Any, ...]

SCALE = 1
"""As of a `ChangingWorld`. 14, for 20,000 records, is run by hand: it takes tens of minutes."""

NIGHTS = ("first", "second", "third", "fourth")
AUDITS = ("audit", "audit again")
CLAIMS = {
    "fct_posts": "select post_uri, is_deleted, text from fct_posts",
    "fct_reposts": "select repost_uri, is_gone from fct_reposts",
    "fct_pull_coverage": "select did from fct_pull_coverage where is_covered_from_the_beginning",
    "fct_follow_spans": "select follow_uri, bool_or(is_current) from fct_follow_spans group by follow_uri",
    "fct_likes_given": "select like_uri, bool_or(is_current) from fct_likes_given group by like_uri",
}
"""What is claimed, by the mart that does it."""
REPORTS_OF_POSTS = ("rpt_latest_posts", "rpt_top_posts")
_PUBLISHED = re.compile(r"(did:plc:\w+)/(?:app\.bsky\.feed\.)?post/(\w+)")
_COUNTED = re.compile(r"^ *(?:events|requests|checks|audits)  .*$", re.MULTILINE)


@dataclass
class Evening:
    """What was so after a night, and what the marts said.

    Attributes:
        living: What the PDS had: record by URI.
        taken_down: Posts that the AppView did not show, by URI.
        ties: Follows and likes that the PDS had: URIs.
        exit_code: The job's, when it had asked.
        said: Rows of the marts that make claims, by name.
        published: URIs of all posts that are in a report.
    """

    living: dict[str, Json]
    taken_down: set[str]
    ties: set[str]
    exit_code: int
    said: dict[str, list[Row]]
    published: set[str]

    @cached_property
    def gone(self) -> set[str]:
        """URIs of posts and reposts that are called gone."""
        return {uri for name in ("fct_posts", "fct_reposts") for uri, is_gone, *_ in self.said[name] if is_gone}

    @cached_property
    def there(self) -> set[str]:
        """URIs of posts and reposts that are not called gone."""
        return {uri for name in ("fct_posts", "fct_reposts") for uri, is_gone, *_ in self.said[name] if not is_gone}

    def tied(self, *, is_current: bool) -> set[str]:
        """Give the URIs of follows and likes that are said to hold, or to have been undone."""
        return {
            uri
            for name in ("fct_follow_spans", "fct_likes_given")
            for uri, holds in self.said[name]
            if holds is is_current
        }

    @cached_property
    def texts(self) -> dict[str, str]:
        return {uri: text for uri, _, text in self.said["fct_posts"]}


@dataclass(frozen=True)
class Told:
    """Records whose fate is part of the story."""

    late: Written
    unheard: Written
    hidden: Written
    deleted: Written
    edited: Written
    doubted: list[Written]
    heard_edit: Written
    heard_repost: Written


@dataclass
class Reader:
    """One who reads the nights into a lake of their own.

    Attributes:
        name: What to call them.
        folder: All that they keep.
        options: Of their pulls.
    """

    name: str
    folder: Path
    options: tuple[str, ...]
    evenings: dict[str, Evening] = field(default_factory=dict)

    @property
    def lake(self) -> Lake:
        return Lake(self.folder)

    @contextmanager
    def at_home(self) -> Iterator[None]:
        """Let dlt and dbt know this reader's folder."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DLT_LOCAL_DIR", str(self.folder))
            patch.setenv("DLT_DATA_DIR", str(self.folder / "dlt"))
            use_project_settings()
            yield

    def run(self, night: str, *commands: tuple[str, ...]) -> int:
        """Run the job, print what it asked for, and give its last exit code."""
        output = io.StringIO()
        with self.at_home(), redirect_stdout(output):
            exit_codes = [bluesky.main([*command, "--no-report"]) for command in commands]
        print(f"{night}, {self.name}:", *_COUNTED.findall(output.getvalue()), sep="\n")
        return exit_codes[-1]


@dataclass
class Nights:
    """Nights over a changing world, seen through a proxy.

    Attributes:
        alone: Who is told no events but those of `listen`.
        told_events: Who catches up with a Jetstream before each pull.
        told: What the story was, once it is over.
    """

    atnet: Json
    world: ChangingWorld
    proxy: CuttingProxy
    alone: Reader
    told_events: Reader
    told: Told = field(init=False)

    @property
    def evenings(self) -> dict[str, Evening]:
        """Of the reader who is alone."""
        return self.alone.evenings

    def pull(self, name: str, cuts: Mapping[Person, Cut]) -> None:
        """Pull while some feeds are cut, and then let the job ask."""
        for reader in (self.alone, self.told_events):
            self._pull(reader, name, cuts)

    def pull_alone(self, name: str, cuts: Mapping[Person, Cut]) -> None:
        """Let the one pull who is told no events."""
        self._pull(self.alone, name, cuts)

    def _pull(self, reader: Reader, name: str, cuts: Mapping[Person, Cut]) -> None:
        self.proxy.cut({person.did: cut for person, cut in cuts.items()})
        code = reader.run(name, ("--no-transform", *reader.options), ("--check",))
        self.look(reader, name, code)

    def audit(self, name: str) -> None:
        """Hold every repository against the lake, while nothing is cut."""
        self.proxy.cut({})
        self.look(self.alone, name, self.alone.run(name, ("--audit", *self.alone.options)))

    def listen(self) -> None:
        """Load what the PDS has told since the last time."""
        # On a busy machine, a server that has much to tell is silent for a while.
        limits = replace(QUICK, quiet_seconds=2.0)
        people = {person.did for person in self.world.people}
        firehose = Firehose(self.atnet["pds"].replace("http", "ws", 1), dids=people, limits=limits)
        with self.alone.at_home():
            live_lake = LiveLake(self.alone.lake)
            if not live_lake.rows():
                firehose.bookmark.go_on(0)
            live_lake.run(firehose)

    def look(self, reader: Reader, name: str, exit_code: int = 0) -> None:
        """Keep what a reader's marts say now."""
        with duckdb.connect(str(reader.folder / "_data" / "bluesky.duckdb"), read_only=True) as marts:
            said = {mart: marts.execute(sql).fetchall() for mart, sql in CLAIMS.items()}
            # What the audience brings of others is looked at again when a list shows it, so that less is claimed of it.
            people = tuple(f"at://{person.did}/" for person in self.world.people)
            said["fct_posts"] = [row for row in said["fct_posts"] if row[0].startswith(people)]
            reports = marts.execute(
                "select table_name from duckdb_tables() where starts_with(table_name, 'rpt_')"
            ).fetchall()
            told = "\n".join(str(row) for (report,) in reports for row in marts.execute(f"from {report}").fetchall())
        published = {f"at://{did}/{POST}/{rkey}" for did, rkey in _PUBLISHED.findall(told)}
        living, taken_down = self.world.living, set(self.world.taken_down)
        reader.evenings[name] = Evening(living, taken_down, self.world.ties, exit_code, said, published)


def catch_up_with_version_1(patch: pytest.MonkeyPatch, jetstream: Program) -> None:
    """Let the catch-up read a Jetstream that can be built anywhere: by the older protocol."""
    newer = live.jetstream_feed
    patch.setattr(live, "jetstream_feed", lambda **options: newer(**options | {"is_legacy": True}))
    patch.setenv("SOURCES__REPO_EVENTS__JETSTREAM_LEGACY_SERVICE", jetstream.url.replace("http", "ws", 1))


def run_models(models: Iterable[str]) -> BuildOutcome:
    """Build these models and what they read. Everything, and dbt's own tests, is run once, at the end."""
    outcome = run_dbt("run", "--select", *(f"+{model}" for model in models))
    assert outcome.success, outcome.exception
    return BuildOutcome("bluesky", is_success=True, counts=Counter(), seconds=0.0)


@pytest.fixture(scope="module")
def nights(atnet: Json, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    folder = tmp_path_factory.mktemp("claims")
    world = ChangingWorld(atnet, scale=SCALE)
    with (
        isolated_lake(folder),
        jetstream_of(atnet, folder) as jetstream,
        CuttingProxy(atnet["appview"]) as proxy,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(bluesky, "build_questions", lambda _: run_models(CHECKED_MODELS))
        patch.setattr(bluesky, "build_warehouse", lambda _: run_models([*CLAIMS, *REPORTS_OF_POSTS]))
        patch.setenv("SOURCES__BLUESKY__SERVICE", proxy.url)
        patch.setenv("SOURCES__BLUESKY__PLC_DIRECTORY", atnet["plc"])
        patch.setenv("SOURCES__BLUESKY__STARTER_PACKS", "[]")
        patch.setenv("SOURCES__BLUESKY__ACTORS", json.dumps([person.did for person in world.people]))
        patch.setenv("SOURCES__BLUESKY__REQUESTS_PER_SECOND", "500")
        catch_up_with_version_1(patch, jetstream)
        patch.setenv("DBT_TARGET_PATH", str(folder / "target"))
        patch.setenv("DBT_LOG_PATH", str(folder / "logs"))
        alone = Reader("without events", folder / "alone", ("--no-catch-up",))
        told_events = Reader("with the catch-up", folder / "told", ("--catch-up",))
        nights = Nights(atnet, world, proxy, alone, told_events)
        nights.told = live_through(nights)
        yield nights


def live_through(nights: Nights) -> Told:
    """Four nights, one on which nobody can be asked, two audits, and an hour in which only the live job listens."""
    world, chance = nights.world, Random(2)
    nights.pull("first", {world.almost: Cut(1)} | any_cuts(chance, world))

    world.pass_a_day()
    [subject, other, *_] = world.old.posts.values()
    [late] = world.reposter.repost((subject, timedelta(hours=5)))
    nights.listen()
    unheard, hidden = world.heard.post(timedelta(), timedelta())
    nights.listen()
    world.settle()
    world.heard.delete(unheard)
    world.take_down(hidden)
    world.settle()
    nights.pull("second", {world.cut: Cut(1)} | any_cuts(chance, world))

    world.pass_a_day()
    deleted, edited = list(world.old.posts.values())[-2:]
    world.old.delete(deleted)
    world.old.edit(edited, "Edited when it was old")
    world.edit_what_was_reposted()
    nights.pull("third", {world.cut: Cut(1)} | any_cuts(chance, world))

    world.pass_a_day()
    world.take_down(next(iter(world.others[7].posts.values())))
    nights.pull("fourth", any_cuts(chance, world))

    doubted = list(world.cut.posts.values())[:3]
    world.cut.delete(*doubted)
    world.settle()
    with pytest.MonkeyPatch.context() as patch:
        [port] = free_ports(1)
        patch.setenv("SOURCES__BLUESKY__PLC_DIRECTORY", f"http://127.0.0.1:{port}")
        nights.pull_alone("nobody to ask", {world.almost: Cut(1, kept=50)})

    for name in AUDITS:
        nights.audit(name)

    heard_edit = world.heard.edit(next(iter(world.heard.posts.values())), "Edited, and heard")
    [heard_repost] = world.heard.repost((other, timedelta()))
    nights.listen()
    with nights.alone.at_home():
        run_models([*CLAIMS, *REPORTS_OF_POSTS])
    nights.look(nights.alone, "heard")
    return Told(late, unheard, hidden, deleted, edited, doubted, heard_edit, heard_repost)


def any_cuts(chance: Random, world: ChangingWorld) -> dict[Person, Cut]:
    """Cut a third of the feeds, anywhere."""
    return {
        person: Cut(
            chance.randint(1, 3 + len(person.posts) // 300), chance.choice([0, 30, 99, 100]), chance.random() < 0.5
        )
        for person in chance.sample(world.others, 5)
    }


@pytest.mark.parametrize("name", [*NIGHTS, "nobody to ask", *AUDITS, "heard"])
def test_nothing_that_the_pds_has_is_called_gone(nights: Nights, name: str) -> None:
    evening = nights.evenings[name]
    assert evening.gone & evening.living.keys() <= evening.taken_down
    assert evening.tied(is_current=False) & evening.ties == set()


@pytest.mark.parametrize("name", NIGHTS)
def test_with_the_catch_up_the_marts_have_what_the_pds_has_and_publish_nothing_else(nights: Nights, name: str) -> None:
    evening = nights.told_events.evenings[name]
    assert evening.living.keys() - evening.there <= evening.taken_down
    assert evening.there - evening.living.keys() == set()
    assert evening.published - evening.living.keys() == set()
    assert len(evening.published) > 100
    assert_texts_are_those_of_the_pds(evening)
    follows = {uri for uri in evening.ties if f"/{FOLLOW}/" in uri}
    assert {uri for uri in evening.tied(is_current=True) if f"/{FOLLOW}/" in uri} == follows


@pytest.mark.parametrize("name", AUDITS)
def test_after_an_audit_nothing_that_is_gone_or_hidden_is_published(nights: Nights, name: str) -> None:
    evening = nights.evenings[name]
    assert len(evening.published) > 100
    assert evening.published - evening.living.keys() == set()
    assert evening.published & evening.taken_down == set()


@pytest.mark.parametrize("name", AUDITS)
def test_after_an_audit_the_marts_have_what_the_pds_has(nights: Nights, name: str) -> None:
    evening = nights.evenings[name]
    assert evening.living.keys() - evening.there == evening.taken_down
    assert evening.there - evening.living.keys() == set()
    assert_texts_are_those_of_the_pds(evening)
    assert evening.tied(is_current=True) == evening.ties
    assert evening.tied(is_current=False)


def assert_texts_are_those_of_the_pds(evening: Evening) -> None:
    texts = {
        uri: record["text"]
        for uri, record in evening.living.items()
        if f"/{POST}/" in uri and uri not in evening.taken_down
    }
    assert {uri: evening.texts.get(uri) for uri in texts} == texts


def test_of_all_models_dbt_s_own_tests_find_nothing_wrong_and_no_report_names_what_is_gone(nights: Nights) -> None:
    with nights.alone.at_home():
        outcome = run_dbt("build", "--exclude-resource-type=unit_test")
    results = getattr(outcome.result, "results", [])
    assert outcome.success, [result.message for result in results if result.status in ("error", "fail")]
    nights.look(nights.alone, "all models")
    evening = nights.evenings["all models"]
    others_posts = nights.world.stranger.records().keys()
    assert evening.published <= (evening.living.keys() - evening.taken_down) | others_posts


def test_reactions_that_were_read_to_the_end_are_those_of_the_pds(nights: Nights) -> None:
    with nights.alone.at_home():
        run_models(["fct_reactions", "rpt_conversations"])
    with duckdb.connect(str(nights.alone.folder / "_data" / "bluesky.duckdb"), read_only=True) as marts:
        whole = set(
            marts.execute("""
                select kind, subject_uri
                from stg_bluesky__audience_pulls
                where is_whole and load_id = (select max(load_id) from stg_bluesky__audience_pulls)
            """).fetchall()
        )
        said = set(marts.execute("select kind, post_uri, actor_did from fct_reactions where is_current").fetchall())
        depths = marts.execute(
            """
                select answer_depth, count(*)
                from rpt_conversations
                where top_post_uri = $1 and pack_uri = 'all'
                group by answer_depth
            """,
            [nights.world.talked_about.uri],
        ).fetchall()
    assert {kind for kind, _ in whole} == {"like", "repost", "quote", "reply"}
    there = {reaction for reaction in nights.world.reactions if reaction[:2] in whole}
    assert {reaction for reaction in said if reaction[:2] in whole} == there
    assert dict(depths) == {1: 2, 2: 2, 3: 2}


# The rows of the table in issue 12, by what was seen.


@pytest.mark.parametrize("name", NIGHTS)
def test_f1_reposts_that_were_dated_back_or_indexed_late_are_there(nights: Nights, name: str) -> None:
    evening = nights.evenings[name]
    own = {uri for uri in evening.living if uri.startswith(f"at://{nights.world.reposter.did}/{REPOST}/")}
    assert len(own) >= 40
    assert (nights.told.late.uri in own) == (name != "first")
    assert own & evening.gone == set()


def test_f3_a_post_that_only_the_live_job_saw_is_not_published_when_it_is_gone_or_hidden(nights: Nights) -> None:
    evening = nights.evenings["second"]
    for post in (nights.told.unheard, nights.told.hidden):
        assert post.uri in evening.texts, "the live job has seen it"
        assert post.uri not in evening.published
        assert post.uri in evening.gone


@pytest.mark.parametrize("name", NIGHTS)
def test_f4_a_feed_that_is_cut_in_one_place_on_two_nights_has_lost_nothing(nights: Nights, name: str) -> None:
    evening = nights.evenings[name]
    assert len([uri for uri in evening.there if uri.startswith(f"at://{nights.world.cut.did}/")]) == 260


@pytest.mark.parametrize("name", [*NIGHTS, *AUDITS])
def test_f5_who_is_called_covered_from_the_beginning_was_when_they_were_audited(nights: Nights, name: str) -> None:
    evening, audited = nights.evenings[name], nights.evenings[name if name in AUDITS else "first"]
    complete = {did for (did,) in evening.said["fct_pull_coverage"]}
    known = evening.there | evening.gone
    still_there = evening.living.keys() & audited.living.keys()
    assert {uri for uri in still_there if uri.split("/")[2] in complete} - known == set()
    assert name not in AUDITS or complete == {person.did for person in nights.world.people}


def test_f5_an_end_that_comes_four_posts_early_is_doubted(nights: Nights) -> None:
    claims = nights.alone.lake.query(
        f"select reached_end from feed_pulls where member_did = '{nights.world.almost.did}' order by observed_at"
    )
    assert not claims[0]["reached_end"]


def test_f6_what_was_deleted_or_edited_when_it_was_old_is_known_after_the_audit(nights: Nights) -> None:
    evening = nights.evenings["audit"]
    assert nights.told.deleted.uri in evening.gone
    assert evening.texts[nights.told.edited.uri] == "Edited when it was old"


def test_f7_a_feed_that_was_read_in_part_ends_in_exit_code_2_unless_an_audit_has_made_it_whole(nights: Nights) -> None:
    assert nights.evenings["nobody to ask"].exit_code == 2
    assert [nights.evenings[name].exit_code for name in ("first", "second")] == [0, 0]


def test_what_nobody_could_be_asked_about_is_neither_called_gone_nor_published(nights: Nights) -> None:
    before, evening = nights.evenings["fourth"], nights.evenings["nobody to ask"]
    doubted = {post.uri for post in nights.told.doubted}
    assert doubted <= before.published
    assert doubted & evening.published == set()
    assert doubted & evening.gone == set()
    assert doubted <= nights.evenings["audit"].gone


def test_f8_an_edit_that_was_heard_is_the_latest_version(nights: Nights) -> None:
    assert nights.evenings["heard"].texts[nights.told.heard_edit.uri] == "Edited, and heard"


def test_f9_a_repost_that_was_heard_is_a_repost(nights: Nights) -> None:
    assert nights.told.heard_repost.uri in nights.evenings["heard"].there
