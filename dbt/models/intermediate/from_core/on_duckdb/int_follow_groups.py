"""Groups of members who follow each other, by Louvain's method, and how far each member connects what is apart."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import networkx as nx
import pyarrow as pa

_SEED = 1


def model(dbt: Any, session: Any) -> pa.Table:
    """Find the groups in each pack.

    People and ties are taken in order, and chance has a seed, so that the same ties give the same groups. A group is
    called by whoever has most ties within it: that stays as they do, where a number would pass to another group.
    """
    dbt.config(materialized="table")
    ties = dbt.ref("int_follow_ties").project("pack_uri, one_did, other_did, is_mutual").order("all").fetchall()
    by_pack = defaultdict(list)
    for pack_uri, one, other, is_mutual in ties:
        by_pack[pack_uri].append((one, other, 2 if is_mutual else 1))
    rows = [(pack_uri, *row) for pack_uri, pairs in by_pack.items() for row in _groups(pairs)]
    return pa.table(
        {
            "pack_uri": pa.array([row[0] for row in rows], pa.string()),
            "did": pa.array([row[1] for row in rows], pa.string()),
            "group_did": pa.array([row[2] for row in rows], pa.string()),
            "betweenness": pa.array([row[3] for row in rows], pa.float64()),
        }
    )


def _groups(pairs: list[tuple[str, str, int]]) -> list[tuple[str, str, float]]:
    # As numbers, since a set of texts has another order in each process.
    dids = sorted({did for one, other, _ in pairs for did in (one, other)})
    numbers = {did: number for number, did in enumerate(dids)}
    graph = nx.Graph()
    graph.add_nodes_from(range(len(dids)))
    graph.add_weighted_edges_from((numbers[one], numbers[other], weight) for one, other, weight in pairs)
    betweenness = nx.betweenness_centrality(graph)
    rows = []
    for group in nx.community.louvain_communities(graph, seed=_SEED):
        within = dict(graph.subgraph(group).degree(weight="weight"))
        most = min(group, key=lambda person: (-within[person], person))
        # In the last digits, sums of fractions depend on their order.
        rows += [(dids[person], dids[most], round(betweenness[person], 9)) for person in sorted(group)]
    return rows
