"""Whoever is forgotten is in no byte of the lake, and stays out of it; everybody else stays as they were."""

from __future__ import annotations

import json
import shutil
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING

import dlt
import duckdb
import pytest

from pipelines import forgetting, report
from pipelines.events.spool import Spool
from pipelines.lake.duckdb_settings import duckdb_settings, has_relation
from pipelines.lake.forget_warehouse import begin_anew_after_forgetting
from pipelines.lake.loads import load
from pipelines.lake.tables import PROFILES
from pipelines.lake.working_folder import only_one, open_pipeline, recover
from pipelines.network.appview import AppView
from pipelines.network.connect import Network
from pipelines.network.pacing import Pacer
from pipelines.network.repositories import Repositories
from pipelines.sample.appview.server import SampleServer
from pipelines.sources import member_states
from pipelines.sources.audience import AudienceAsker, AudiencePost, audience
from pipelines.sources.rows import arrow_table, resource_hints
from tests.conftest import isolated_lake, shared_world
from tests.forgetting.lakes import Person, forget, found_in, load_events, person, rows_of_others

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from pipelines.sample.world.truth import Like, Post, Repost
    from pipelines.sample.world.world import World
    from tests.conftest import Lake
    from tests.forgetting.lakes import Row

pytestmark = pytest.mark.slow  # That nothing is left, and of others all, a run that is killed shows by default.

OTHERS = ("bia", "wei", "kenji", "felix", "mara", "priya")


@dataclass
class Forgetful:
    """A lake in which the founder of a pack was forgotten, and what it was before."""

    lake: Lake
    server: SampleServer
    person: Person
    before: dict[str, list[Row]]
    files_before: int
    counted: str
    said: str

    def pull(self) -> str:
        return pull(self.lake, self.server)

    @property
    def places(self) -> tuple[Path, ...]:
        return (self.lake.folder / "_data", self.lake.folder / "dbt", self.lake.folder.with_name("dlt"))


def pull(lake: Lake, server: SampleServer) -> str:
    world = server.world
    actors = [world.actor(name).did for name in OTHERS]
    return lake.pull(server, starter_packs=[world.packs[1].uri], actors=actors).output


def ask_who_reacts(server: SampleServer, did: str) -> None:
    """Load who reacts to posts of somebody, and to what they react, and their profile."""
    day = server.world.on(server.day)
    reactions: dict[str, Mapping[str, Iterable[Like | Repost | Post]]]
    reactions = {"like": day.likes, "repost": day.reposts, "reply": day.replies}
    about = [
        AudiencePost(uri, kind, 1)
        for kind, found in reactions.items()
        for uri, by in sorted(found.items())
        if uri in day.posts and (did in uri or any(one.author == did for one in by))
    ]
    appview = AppView(server.url, Pacer(10_000))
    network = Network(appview, Repositories(appview, server.url), server.url)
    clock = (day.now + timedelta(seconds=second) for second in range(1_000_000))
    asker = AudienceAsker(network, lambda: next(clock), 200)
    load(recover(open_pipeline("bluesky")), audience(asker, about[:6] + about[-6:], [], [did]))


def webhook_bodies(world: World, did: str) -> list[bytes]:
    def commit(author: str, record: dict[str, str]) -> bytes:
        what = {
            "rev": "3l3qo2vutsw2b",
            "operation": "create",
            "collection": "app.bsky.feed.post",
            "rkey": "3l3qo2vuowo2b",
        }
        event = {
            "did": author,
            "time_us": 1_725_911_162_329_308,
            "kind": "commit",
            "commit": {**what, "record": record},
        }
        return json.dumps(event).encode()

    mention = {"text": f"hello @{world.actor('mikkel').handle(world.on(1).now)}", "createdAt": "2026-03-01T00:00:00Z"}
    other = world.actor("bia").did
    return [commit(did, {"text": "mine"}), commit(other, mention), commit(other, {"text": "nothing of theirs"})]


@pytest.fixture(scope="module")
def forgetful(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forgetful]:
    world, folder = shared_world(), tmp_path_factory.mktemp("forgetful")
    did = world.actor("mikkel").did
    with isolated_lake(folder) as lake, SampleServer(world) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(forgetting, "PROJECT_ROOT", lake.folder)
        patch.setattr(member_states, "MOST_IN_THE_OPEN", 0)  # As of many members: the lake of ten nights has few.
        pull(lake, server)
        pull(lake, server)
        ask_who_reacts(server, did)
        assert lake.query(f"from reactions where actor_did = '{did}'")
        assert lake.query(f"from reactions where post_uri like '%{did}%' and actor_did != '{did}'")
        load_events(world, 1, 600)
        spool = Spool(lake.folder / "_data" / "webhook.sqlite")
        spool.append(webhook_bodies(world, did))
        spool.close()
        for name in ("report.html", "digest.md", "digest.xml", ".digest.txt.partial"):
            (lake.folder / "_data" / name).write_text(f"a page with {did}")
        patch.setenv("EXPORT__DATABASE", "_data/marts.duckdb")
        with duckdb.connect(str(lake.folder / "_data" / "marts.duckdb")) as exported:
            exported.execute("create table about as select $1 as note", [f"an export with {did}"])
        for name in ("logs/dbt.log", "logs/dbt.log.1", "target/run_results.json", "target/compiled/inline.sql"):
            written = lake.folder / "dbt" / name
            written.parent.mkdir(parents=True, exist_ok=True)
            written.write_text(f"dbt build --vars '{{unpublished_dids: [{did}]}}'")
        people = lake.dataset.parent / "people"
        people.mkdir()
        (people / "left_out.txt").write_text(f"{did}\n@bia.bsky.test\n")
        kept = {"dids": {"mikkel.of.old": did, "bia.bsky.test": "did:web:bia"}, "handles": {did: ["mikkel.of.old"]}}
        (people / "left_out.json").write_text(json.dumps(kept))
        (people / "forgetting_posts.json").write_text(json.dumps([f"at://{did}/app.bsky.feed.post/3k", "at://x"]))
        (lake.dataset / "author_feed" / ".x.parquet.partial").write_text(did)
        theirs, before = person(world, lake, did), rows_of_others(lake, did)
        assert {string for string, _ in found_in(lake.folder / "_data", theirs.strings)} == set(theirs.strings)
        # What a crash left, and a cache kept: rows of theirs, pending.
        left = {"did": did, "observed_at": 0, "handle": theirs.strings[2]}
        recover(open_pipeline("bluesky")).extract(
            dlt.resource([arrow_table(PROFILES, [left])], **resource_hints(PROFILES))
        )
        shutil.copytree(folder / "dlt", folder / "cache")
        said = [said_by(lambda: forget(did, "--dry-run")), said_by(lambda: forget(theirs.strings[2]))]
        files_before = len(list(lake.dataset.rglob("*.parquet")))
        yield Forgetful(lake, server, theirs, before, files_before, *said)


def said_by(command: Callable[[], int]) -> str:
    with redirect_stdout(StringIO()) as output:
        assert command() == 0
    return output.getvalue()


def test_no_byte_of_theirs_is_left(forgetful: Forgetful) -> None:
    for place in forgetful.places:
        assert found_in(place, forgetful.person.strings) == []


def test_everybody_else_is_as_before(forgetful: Forgetful) -> None:
    assert rows_of_others(forgetful.lake, forgetful.person.did) == forgetful.before


def test_what_was_counted_went_and_the_log_says_how_much_not_who(forgetful: Forgetful) -> None:
    people = forgetful.lake.dataset.parent / "people"
    names = ["forgetting_posts.json", "forgotten.json", "left_out.json", "left_out.txt"]
    assert sorted(file.name for file in people.iterdir()) == names
    assert json.loads((people / "forgetting_posts.json").read_text()) == ["at://x"]
    assert (people / "left_out.txt").read_text() == "@bia.bsky.test\n"
    assert "mikkel" not in (people / "left_out.json").read_text()
    (done,) = json.loads((people / "forgotten.json").read_text())["log"]
    rows = f"{done['removed']:,} rows of theirs went, {done['changed']:,} of others"
    assert rows in forgetful.said
    assert rows.replace("went", "would go") in forgetful.counted
    assert done["removed"] > 0 < done["changed"]
    assert done["at"]


def test_the_spool_keeps_what_others_sent(forgetful: Forgetful) -> None:
    spool = Spool(forgetful.lake.folder / "_data" / "webhook.sqlite")
    bodies = [json.loads(body) for _, _, body in spool.read(0, 10)]
    spool.close()
    texts = [body["commit"]["record"]["text"] for body in bodies]
    assert texts == ["hello @" + "_" * len(forgetful.person.strings[2]), "nothing of theirs"]


def test_no_job_of_the_lake_may_run_meanwhile(forgetful: Forgetful, capsys: pytest.CaptureFixture[str]) -> None:
    with only_one("bluesky_jetstream"):
        assert forget(forgetful.person.did) == 1
    assert (
        capsys.readouterr().err == "Another run of bluesky_jetstream is under way on this machine. Wait for its end.\n"
    )


def test_nobody_by_that_name_is_one_line(forgetful: Forgetful, capsys: pytest.CaptureFixture[str]) -> None:
    assert forget("not a name") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_did_that_nobody_has_changes_nothing(forgetful: Forgetful, capsys: pytest.CaptureFixture[str]) -> None:
    page = forgetful.lake.folder / "_data" / "report.html"
    page.write_text("a page")
    assert forget(forgetful.person.did[:-1] + "z") == 1
    assert "nothing was changed" in capsys.readouterr().err
    assert page.read_text() == "a page"
    assert "They are forgotten" in said_by(lambda: forget(forgetful.person.did))


def test_what_else_goes_is_said_before(forgetful: Forgetful) -> None:
    for said in (forgetful.counted, forgetful.said):
        assert "They founded 1 of the packs" in said
        assert "the warehouse and the page" in said.lower()


def test_a_warehouse_from_before_is_published_by_nobody_and_begun_anew(
    forgetful: Forgetful, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = duckdb_settings("bluesky")
    with settings.open_warehouse() as warehouse:
        warehouse.execute("create table people as select $1 as did", [forgetful.person.did])
    assert report.main([]) == 1
    assert "from before somebody was forgotten" in capsys.readouterr().err
    begin_anew_after_forgetting(settings)
    assert found_in(settings.warehouse_path.parent, forgetful.person.strings) == []
    with settings.open_warehouse() as warehouse:
        warehouse.execute("create table made_since as select 1 as one")
    begin_anew_after_forgetting(settings)
    with settings.open_warehouse() as warehouse:
        assert has_relation(warehouse, "made_since")
    settings.warehouse_path.unlink()


def test_nothing_brings_them_back(forgetful: Forgetful) -> None:
    """Not the next night, though a cache brings dlt's working folder of before; nor an event, nor a link to them."""
    lake, server = forgetful.lake, forgetful.server
    working_folder = lake.folder.with_name("dlt")
    shutil.rmtree(working_folder)
    (working_folder.with_name("cache")).rename(working_folder)
    server.day = 2
    said = forgetful.pull()
    assert "starter_packs in [sources.bluesky] names somebody who is forgotten" in said
    load_events(server.world, 2, 600)
    recover(open_pipeline("bluesky"))
    for place in forgetful.places:
        assert found_in(place, forgetful.person.strings) == []
    assert lake.query("select count(distinct observed_at) as nights from feed_pulls") == [{"nights": 3}]
