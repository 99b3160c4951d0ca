"""An exported graph says what reports say, and two other libraries read the same out of it."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import duckdb
import igraph
import networkx as nx
import pytest

from pipelines.exports import graph as graphs
from pipelines.exports.graph import KINDS, Kind, Scope, packs_in, read_graph, write_graph

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipelines.exports.graph import Format
    from tests.exports.conftest import Exporting


@pytest.fixture(scope="module")
def marts(exporting: Exporting) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(str(exporting.marts.warehouse), read_only=True) as marts:
        marts.execute("set timezone = 'UTC'")
        yield marts


def weights(graph: nx.Graph[str], kind: str) -> dict[tuple[str, str], int]:
    return {(one, other): edge[kind] for one, other, edge in graph.edges(data=True) if edge[kind]}


def test_interactions_are_those_of_the_report(marts: duckdb.DuckDBPyConnection) -> None:
    tied = 0
    for pack in ("all", *packs_in(marts, is_all=False)):
        for period in ("week", "year"):
            query = (
                "select actor_did, subject_did, interaction_count from rpt_interactions"
                " where pack_uri = $1 and period = $2"
            )
            rows = marts.execute(query, [pack, period]).fetchall()
            graph = read_graph(marts, Scope(("interactions",), pack, period))
            assert weights(graph, "interactions") == {(one, other): count for one, other, count in rows}
            tied += len(rows)
    assert tied > 100


@pytest.mark.parametrize(("kind", "mart", "what"), [("hashtags", "hashtag", "hashtag"), ("links", "link", "link_uri")])
def test_what_two_share_ties_them_once(marts: duckdb.DuckDBPyConnection, kind: str, mart: str, what: str) -> None:
    used: dict[str, set[str]] = {}
    query = (
        f"select distinct author_did, {what} from fct_{mart}s join int_publishable_posts using (post_uri, author_did)"
    )
    for did, thing in marts.execute(query).fetchall():
        used.setdefault(did, set()).add(thing)
    expected = {(one, other): len(used[one] & used[other]) for one in used for other in used if one < other}
    graph = read_graph(marts, Scope((kind,)))
    assert not graph.is_directed()
    undirected = {tuple(sorted(pair)): weight for pair, weight in weights(graph, kind).items()}
    assert undirected == {pair: count for pair, count in expected.items() if count}
    both = read_graph(marts, Scope(("interactions", kind)))
    assert weights(both, kind) == {tie: n for (a, b), n in undirected.items() for tie in ((a, b), (b, a))}


@pytest.mark.parametrize("form", graphs.FORMATS)
@pytest.mark.parametrize("kinds", [tuple(KINDS), ("hashtags",)])
def test_other_libraries_read_the_same(
    marts: duckdb.DuckDBPyConnection, tmp_path: Path, form: Format, kinds: tuple[str, ...]
) -> None:
    graph, path = read_graph(marts, Scope(kinds)), tmp_path / f"graph.{form}"
    graph.add_node("did:web:odd.test", label="odd", display_name="a\x00b\x0b<&>\U0001f986")
    for node in graph.nodes:
        graph.nodes[node].update({name: graphs._in_xml(value) for name, value in graph.nodes[node].items()})
    write_graph(graph, form, path)
    read = nx.read_gexf(path) if form == "gexf" else nx.read_graphml(path)
    assert {did: data["post_count"] for did, data in read.nodes(data=True) if "post_count" in data} == {
        did: data["post_count"] for did, data in graph.nodes(data=True) if "post_count" in data
    }
    assert read.number_of_edges() == graph.number_of_edges()
    for kind in kinds:
        assert {frozenset(pair): weight for pair, weight in weights(read, kind).items()}.keys() == {
            frozenset(pair) for pair in weights(graph, kind)
        }
        assert sorted(weights(read, kind).values()) == sorted(weights(graph, kind).values())
    if form == "gexf":
        assert "spell" in path.read_text(encoding="utf-8")
    else:
        found = igraph.Graph.Read_GraphML(str(path))
        assert (found.vcount(), found.ecount()) == (graph.number_of_nodes(), graph.number_of_edges())
        assert sum(found.es["weight"]) == sum(data["weight"] for *_, data in graph.edges(data=True))


def test_days_that_meet_are_one_spell() -> None:
    days = [date(2026, 3, day) for day in range(1, 10)]
    assert graphs._spells([(days[0], days[1]), (days[1], days[2]), (days[4], days[5])]) == [
        (days[0], days[2]),
        (days[4], days[5]),
    ]
    assert graphs._spells([(days[0], days[3]), (days[1], None), (days[5], days[6])]) == [(days[0], None)]


def test_another_kind_of_tie_is_an_entry(
    marts: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that lasts, such as following somebody."""
    query = """
        select min(did) as source, max(did) as target, date '2026-03-01' as begins, null::date as ends
        from graph_people cross join graph_period
    """
    monkeypatch.setitem(KINDS, "lasting", Kind(("fct_posts",), query))
    graph = read_graph(marts, Scope(("lasting",)))
    ((*_, edge),) = graph.edges(data=True)
    assert edge == {"weight": 1, "lasting": 1, "first_on": "2026-03-01", "spells": [("2026-03-01", None)]}
    write_graph(graph, "gexf", tmp_path / "graph.gexf")
    assert '<spell start="2026-03-01" />' in (tmp_path / "graph.gexf").read_text(encoding="utf-8")
