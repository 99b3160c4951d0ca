"""Under other names nobody is found by theirs, and all that ties people is as it was."""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

import duckdb
import igraph
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import export
from pipelines.exports.columns import Column, meaning_of
from pipelines.exports.marts import ExportError
from pipelines.exports.pseudonyms import Pseudonyms, read_salt
from pipelines.lake.names_in_texts import plainly_written
from tests.forgetting.lakes import contents
from tests.forgetting.written_names import DID, HANDLES, spellings

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.world.world import World
    from tests.exports.conftest import Exporting

PEOPLE = [
    ("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", "ada.test", "Ada Lovelace"),
    ("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", "countess.test", "Ada 🦆"),
    ("did:plc:bbbbbbbbbbbbbbbbbbbbbbbb", "kenji.co.test", "森 健司"),
    ("did:web:news.test", "news.test", "Data"),
    (None, "unseen.test", None),
]


@pytest.fixture(scope="module")
def pseudonyms() -> Pseudonyms:
    return Pseudonyms(b"salt", PEOPLE)


CALLED = ("the", "Person", "Good Day", "です", "Ada", "Good Will", "good day")
WAREHOUSE = """
create table fct_posts as
select 'did:plc:' || n as author_did, unnest(['see the person here', 'good day, です', 'The Ada']) as text
from range(4) as _(n);
create table dim_authors as select 'did:plc:' || n as did, n || '.test' as handle, $1[n + 1] as display_name
from range(len($1)) as _(n);
create table int_handle_spans as from dim_authors;
create table stg_bluesky__profiles as from dim_authors;
create table stg_bluesky__starter_pack_members as from dim_authors;
create table stg_bluesky__starter_packs as select did as creator_did, handle as creator_handle from dim_authors;
create table int_posts as
select did as author_did, handle as author_handle, display_name as author_display_name from dim_authors;
create table int_reactions as
select 'did:plc:8' as actor_did, 'liker.test' as actor_handle, 'Lena Liker' as actor_display_name;
create table int_withheld_names as select '@7.test' as withheld_name;
"""


@pytest.fixture(scope="module")
def of_common_words() -> Pseudonyms:
    with duckdb.connect() as marts:
        marts.execute(WAREHOUSE.replace("$1", str(list(CALLED))))
        return Pseudonyms.of(marts, b"salt")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("The person, the Person: good day, Good day", {}),
        ("こんにちはです。", {}),
        ("Good Day, Ada, and ada!", {"Good Day": 2, "Ada": 4}),
        ("good will, GOOD WILL", {"good will": 5, "GOOD WILL": 5}),
        ("Lena Liker is liker.test", {"Lena Liker": 8, "liker.test": 8}),
        ("https://Ada.example/Ada and https://x.example/good-will", {"good-will": 5}),
    ],
)
def test_a_display_name_that_is_a_common_word_stays_in_texts(
    of_common_words: Pseudonyms, text: str, names: dict[str, int]
) -> None:
    other = of_common_words.words(text)
    for name, number in names.items():
        text = text.replace(name, of_common_words.person(f"did:plc:{number}"), 1)
    assert other == text


@pytest.mark.parametrize("name", ["the", "Person", "です", "https"])
def test_no_name_stays_in_a_field_for_names(of_common_words: Pseudonyms, name: str) -> None:
    fields = {"did": ["did:plc:0"], "display_name": [name], "author_display_name": [name]}
    fields |= {"pack_uri": ["at://did:plc:0"], "pack_name": [name]}
    columns = [Column(field, "VARCHAR", "", meaning_of(field, "VARCHAR")) for field in fields]
    renamed = of_common_words.reader(pa.table(fields).to_reader(), columns).read_all().to_pylist()
    person = of_common_words.person("did:plc:0")
    assert renamed[0].pop("author_display_name").startswith("name-")
    assert renamed == [{"did": person, "display_name": person, "pack_uri": f"at://{person}", "pack_name": person}]


@given(spelled=spellings((DID, HANDLES[0])), before=st.sampled_from(["", "@", "Hello.", "https://bsky.app/profile/"]))
def test_a_name_is_found_in_every_spelling(spelled: str, before: str) -> None:
    pseudonyms = Pseudonyms(b"salt", [(DID, HANDLES[0], None)])
    other = pseudonyms.words(f"日本。👩\u200d💻 {before}{spelled} ﬁ")
    assert other.startswith("日本。👩\u200d💻 ")
    assert other.endswith(" ﬁ")
    if before != "Hello." or spelled[0].islower():
        assert pseudonyms.person(DID) in other
        assert "nils" not in plainly_written(other).lower()


def test_nobody_is_found_by_a_name(world: World, renamed: Path) -> None:
    """All of 40 and more people, those of whom nothing may be published too, in all tables and graphs."""
    names = {name for actor in world.actors.values() for name in (actor.did, actor.did.rpartition(":")[2])}
    names |= {handle for actor in world.actors.values() for _, handle in actor.handles} - {"handle.invalid"}
    called = {profile.display_name for actor in world.actors.values() for profile in actor.profiles} - {""}
    assert len(world.actors) >= 40
    for place, text in contents(renamed):
        lower = text.lower()
        assert [name for name in names if name.lower() in lower] == [], place
        assert [name for name in called if name in text] == [], place


def test_no_number_made_of_a_uri_is_in_it(exporting: Exporting, renamed: Path) -> None:
    rows = exporting.marts.rows("select post_sort_key from fct_links union select post_sort_key from int_posts")
    keys = {str(row["post_sort_key"]) for row in rows}
    assert len(keys) > 100
    for place, text in contents(renamed):
        assert keys.isdisjoint(re.findall(r"\d+", text)), place


def test_the_graph_is_the_same(exporting: Exporting, renamed: Path) -> None:
    kinds = ("--kinds", "interactions,hashtags", "--format", "graphml")
    plain = igraph.Graph.Read_GraphML(str(exporting.run("plain", "graph", "--all", *kinds) / "graph.graphml"))
    exporting.run("renamed", "graph", "--all", "--pseudonyms", *kinds)
    other = igraph.Graph.Read_GraphML(str(renamed / "graph.graphml"))
    with duckdb.connect(str(exporting.marts.warehouse), read_only=True) as marts:
        given = Pseudonyms.of(marts, read_salt(exporting.marts.warehouse.with_name("pseudonyms.salt")))
    assert edges(plain, given) == edges(other, None)
    assert plain.isomorphic(other)


def edges(graph: igraph.Graph, given: Pseudonyms | None) -> list[tuple[object, ...]]:
    def name(vertex: int) -> str:
        known = str(graph.vs[vertex]["id"])
        return given.person(known) if given else known

    return sorted(
        (name(edge.source), name(edge.target), edge["interactions"], edge["hashtags"], edge["first_on"])
        for edge in graph.es
    )


def test_two_exports_agree_by_a_salt_that_its_owner_alone_reads(exporting: Exporting, renamed: Path) -> None:
    again = exporting.run("again", "tables", "rpt_members", "--all", "--pseudonyms")
    file = "rpt_members.parquet"
    in_order = [duckdb.sql(f"from '{folder / file}' order by did").fetchall() for folder in (again, renamed)]
    assert in_order[0] == in_order[1]
    salt = exporting.marts.warehouse.with_name("pseudonyms.salt")
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text",
    [
        "Thanks @ada.test!",
        "Thanks @ADA.Test.",
        "Ada.test said so",
        "ada。test",
        "@a\u200bda.test",
        "See countess.test--and so on",
        "https://bsky.app/profile/ada.test/post/3kabc",
        "https://x.test/?u=https%3A%2F%2Fbsky.app%2Fprofile%2Fada.test",
        "https://x.test/?u=%2540ada.test",
        "did:plc:AAAAAAAAAAAAAAAAAAAAAAAA",
        "did%3Aplc%3Aaaaaaaaaaaaaaaaaaaaaaaaa",
        "https://cdn.test/img/aaaaaaaaaaaaaaaaaaaaaaaa/1",
        "I met Ada Lovelace, and ADA LOVELACE met me",
        "ada-lovelace",
    ],
)
def test_a_name_is_found_however_it_is_written(pseudonyms: Pseudonyms, text: str) -> None:
    other = pseudonyms.words(text)
    assert pseudonyms.person("ada.test") in other
    for name in ("ada", "lovelace", "countess", "aaaaaaaa"):
        assert name not in other.lower()


def test_others_are_told_apart(pseudonyms: Pseudonyms) -> None:
    ada = pseudonyms.person("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")
    assert pseudonyms.person("countess.test") == ada
    assert pseudonyms.person("Ada.Test") == ada
    assert len({ada, *map(pseudonyms.person, ("kenji.co.test", "news.test", "unseen.test", "who.test"))}) == 5
    assert pseudonyms.words("森 健司さん") == f"{pseudonyms.person('kenji.co.test')}さん"
    assert pseudonyms.words("@who.test") == f"@{pseudonyms.person('who.test')}"


@pytest.mark.parametrize("text", ["I like data.", "duckdb.org/docs, 3.14", "Canada", "app.bsky.feed.post", "# x: y%"])
def test_what_is_no_name_stays(pseudonyms: Pseudonyms, text: str) -> None:
    assert pseudonyms.words(text) == text


def test_a_record_has_one_other_uri(pseudonyms: Pseudonyms) -> None:
    other = pseudonyms.record("at://did:plc:aaaaaaaaaaaaaaaaaaaaaaaa/app.bsky.feed.post/3kabc")
    key = other.rpartition("/")[2]
    assert "3kabc" not in other
    assert pseudonyms.words("https://bsky.app/profile/ada.test/post/3kabc").endswith(f"/post/{key}")
    assert pseudonyms.record(other) == other
    assert pseudonyms.pack("all") == "all"


def test_nothing_is_renamed_without_being_asked(exporting: Exporting) -> None:
    with pytest.raises(SystemExit):
        export.main(["ids", "--sample", "--pseudonyms", "--out", str(exporting.folder / "x")])


FIRST = {"rpt_mutual_follows": "one_did", "rpt_members": "did", "rpt_groups": "did"}


def test_no_order_tells_who_is_who(exporting: Exporting, renamed: Path) -> None:
    kinds = ("--kinds", "interactions,follows,hashtags", "--format", "graphml")
    exporting.run("renamed", "graph", "--all", "--pseudonyms", *kinds)
    graph = igraph.Graph.Read_GraphML(str(renamed / "graph.graphml"))
    assert graph.vs["id"] == sorted(graph.vs["id"])
    ties = [(edge.source, edge.target) for edge in graph.es]
    assert ties == sorted(ties)
    with duckdb.connect(str(exporting.marts.warehouse), read_only=True) as warehouse:
        given = Pseudonyms.of(warehouse, read_salt(exporting.marts.warehouse.with_name("pseudonyms.salt")))
        dids = {
            mart: [did for (did,) in warehouse.execute(f"select {first} from {mart} order by 1").fetchall()]
            for mart, first in FIRST.items()
        }
    for mart, first in FIRST.items():
        names = [row[0] for row in duckdb.sql(f"select {first} from '{renamed / mart}.parquet'").fetchall()]
        in_order_of_dids = [given.person(did) for did in dids[mart]]
        assert len(names) == len(in_order_of_dids) > 5
        assert names != in_order_of_dids
    pairs = duckdb.sql(f"select one_did, other_did from '{renamed}/rpt_mutual_follows.parquet'").fetchall()
    assert pairs
    assert all(one < other for one, other in pairs)


@pytest.mark.parametrize("salt", [b"", b"\n", b"secret\n"])
def test_a_salt_that_can_be_guessed_is_refused(tmp_path: Path, salt: bytes) -> None:
    file = tmp_path / "pseudonyms.salt"
    file.write_bytes(salt)
    with pytest.raises(ExportError, match="too short to be a secret"):
        read_salt(file)
    file.unlink()
    assert read_salt(file) == read_salt(file)
    assert [path.name for path in tmp_path.iterdir()] == ["pseudonyms.salt"]
