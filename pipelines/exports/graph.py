"""The community as a graph: people, and what ties them, of one pack and one period.

A kind of tie is a query over marts: another one is an entry in `KINDS`.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final, Literal

from pipelines.exports.marts import ExportError
from pipelines.exports.target import whole
from pipelines.lake.duckdb_settings import has_relation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import date
    from pathlib import Path
    from typing import TypeAlias

    import duckdb
    import networkx as nx

    from pipelines.exports.pseudonyms import Pseudonyms

    Graph: TypeAlias = nx.DiGraph[str] | nx.Graph[str]
    Spell: TypeAlias = tuple[date, date | None]

Format = Literal["gexf", "graphml"]

FORMATS: Final[tuple[Format, ...]] = ("gexf", "graphml")
PERIODS: Final = ("day", "week", "month", "year", "all")
ALL: Final = "all"


@dataclass(frozen=True)
class Kind:
    """A kind of tie.

    Attributes:
        needs: The marts that it is made from.
        query: Gives `source`, `target`, and from which day (`begins`) up to which (`ends`; null where it lasts), once
            for each time that the two are tied. It may ask the views that hold what a graph is of: `graph_people`,
            `graph_acts` (`uri`, `did`, `acted_at`) and, in one row, `graph_period` (`period_from`, `period_to`).
        is_directed: Whether it leads from one to the other.
    """

    needs: tuple[str, ...]
    query: str
    is_directed: bool = True


def _shared(mart: str, what: str) -> str:
    """Tie two people once for each thing that both have in their posts, on the day when the second of them had it."""
    return f"""
        with used as (
            select acts.did, things.{what} as what, min(acts.acted_at) as first_at
            from {mart} as things
            inner join graph_acts as acts on things.post_uri = acts.uri
            group by all
        )
        select one.did as source, other.did as target,
            cast(greatest(one.first_at, other.first_at) as date) as begins, begins + 1 as ends
        from used as one
        inner join used as other on one.what = other.what and one.did < other.did
    """


KINDS: Final = {
    "interactions": Kind(
        needs=("fct_interactions",),
        query="""
            select actor_did as source, subject_did as target, cast(interacted_at as date) as begins, begins + 1 as ends
            from fct_interactions
            inner join graph_acts on interaction_uri = uri
            where not is_with_self
        """,
    ),
    # Whom somebody follows no more is theirs to keep: a graph has the ties that last.
    "follows": Kind(
        needs=("fct_follow_spans",),
        query="""
            select follower_did as source, followed_did as target,
                cast(coalesce(followed_at, first_seen_at) as date) as begins, cast(null as date) as ends
            from fct_follow_spans
            cross join graph_period
            where is_current and coalesce(
                coalesce(followed_at, first_seen_at) > period_from
                and coalesce(followed_at, first_seen_at) <= period_to,
                period_from is null
            )
        """,
    ),
    "hashtags": Kind(needs=("fct_hashtags",), query=_shared("fct_hashtags", "hashtag"), is_directed=False),
    "links": Kind(needs=("fct_links",), query=_shared("fct_links", "link_uri"), is_directed=False),
}

_PERIOD: Final = """
create or replace temp view graph_period as
select max(period_from) as period_from, max(period_to) as period_to from int_periods where period = '{period}'
"""
_ACTS: Final = """
create or replace temp view graph_acts as
with acts as (
    select post_uri as uri, author_did as did, posted_at as acted_at from {posts}
    union all
    select repost_uri as uri, reposter_did as did, reposted_at as acted_at from {reposts}
)
select acts.* from acts cross join graph_period
where coalesce(acts.acted_at > period_from and acts.acted_at <= period_to, period_from is null)
"""

_PUBLISHED_PEOPLE: Final = """
create or replace temp view graph_people as
select members.did, members.handle, members.display_name, members.followers_count, members.post_count,
    members.pack_uris
from rpt_members as members
inner join int_report_members as packs on members.did = packs.did
where packs.pack_uri = {pack}
"""
_ALL_PEOPLE: Final = """
create or replace temp view graph_people as
with posts as (select author_did as did, count(*) as post_count from fct_posts group by author_did),
packs as (select did, list(distinct pack_uri order by pack_uri) as pack_uris from bridge_pack_members group by did)
select authors.did, authors.handle, authors.display_name, authors.followers_count, posts.post_count, packs.pack_uris
from dim_authors as authors
left join posts on authors.did = posts.did
left join packs on authors.did = packs.did
where {pack} = 'all' or list_contains(packs.pack_uris, {pack})
"""

# What XML cannot hold, however it is written (https://www.w3.org/TR/xml/#charsets).
_NOT_IN_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TID: Final = re.compile(r"[2-7a-j][2-7a-z]{12}")
_NOT_IN_A_FILE_NAME: Final = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Scope:
    """What a graph is of.

    Attributes:
        kinds: Which ties.
        pack_uri: Of which pack; `all` for everybody, each once.
        period: Of which time before the newest observation; `all` for all of it.
        is_all: Whether also of what may not be published.
    """

    kinds: tuple[str, ...]
    pack_uri: str = ALL
    period: str = ALL
    is_all: bool = False

    def file_name(self, form: Format, pseudonyms: Pseudonyms | None = None) -> str:
        """Name the file that holds it, by the pack's key."""
        uri = self.pack_uri if pseudonyms is None else pseudonyms.pack(self.pack_uri)
        key = uri.rpartition("/")[2]
        if not _TID.fullmatch(
            key
        ):  # Others choose their keys, which may be as long, and as like each other, as they wish.
            digest = hashlib.sha256(uri.encode()).hexdigest()[:8]
            key = f"{_NOT_IN_A_FILE_NAME.sub('-', key)[:60]}-{digest}"
        pack = key if uri != ALL else ""
        return "-".join(filter(None, ["graph", pack, self.period if self.period != ALL else ""])) + f".{form}"


def expect_kinds(marts: duckdb.DuckDBPyConnection, kinds: Iterable[str]) -> None:
    """See that a warehouse has what ties are made from.

    Raises:
        ExportError: It has not.
    """
    for kind in kinds:
        for mart in KINDS[kind].needs:
            if not has_relation(marts, mart):
                raise ExportError(f"The warehouse has no {mart}, from which {kind} are made: cd dbt && dbt build.")


def packs_in(marts: duckdb.DuckDBPyConnection, *, is_all: bool) -> list[str]:
    """Name the packs of which there can be a graph."""
    people = "bridge_pack_members" if is_all else "int_report_members"
    rows = marts.execute(f"select distinct pack_uri from {people} where pack_uri != 'all' order by 1").fetchall()
    return [pack for (pack,) in rows]


def read_graph(marts: duckdb.DuckDBPyConnection, scope: Scope, pseudonyms: Pseudonyms | None = None) -> Graph:
    """Read a graph out of the marts. Of two people there is one edge in each direction, whatever ties them.

    Gephi and many others read no second edge between the same two. So an edge says how often they are tied in each way
    (`interactions`, `hashtags`, ...), and its weight is the sum. A tie without a direction is there both ways if others
    in the graph have one: else whoever follows edges would go one way only.

    Args:
        marts: The warehouse.
        scope: What the graph is of.
        pseudonyms: Gives people other names, if they are to have such.
    """
    # Imported here: no other command needs it.
    import networkx as nx  # noqa: PLC0415

    _select(marts, scope)
    is_directed = any(KINDS[kind].is_directed for kind in scope.kinds)
    graph: Graph = nx.DiGraph() if is_directed else nx.Graph()
    graph.graph["name"] = f"{', '.join(scope.kinds)}: {scope.period}"
    # In the order of the names that they have here: that of DIDs would tell who is who.
    for name, attributes in sorted(_people(marts, pseudonyms), key=itemgetter(0)):
        graph.add_node(name, **attributes)
    ties: dict[tuple[str, str], dict[str, list[Spell]]] = defaultdict(dict)
    for kind in scope.kinds:
        for source, target, spells in _ties(marts, KINDS[kind].query):
            one, other = (source, target) if pseudonyms is None else map(pseudonyms.person, (source, target))
            if not KINDS[kind].is_directed:
                one, other = sorted((one, other))
            ties[one, other][kind] = spells
            if is_directed and not KINDS[kind].is_directed:
                ties[other, one][kind] = spells
    for (one, other), by_kind in sorted(ties.items()):
        graph.add_edge(one, other, **_edge(scope.kinds, by_kind))
    return graph


def _select(marts: duckdb.DuckDBPyConnection, scope: Scope) -> None:
    """Say whom, and what of theirs, a graph is made from."""
    published = ("int_publishable_posts", "int_publishable_reposts")
    posts, reposts = ("fct_posts", "fct_reposts") if scope.is_all else published
    marts.execute(_PERIOD.format(period=scope.period))
    marts.execute(_ACTS.format(posts=posts, reposts=reposts))
    people = _ALL_PEOPLE if scope.is_all else _PUBLISHED_PEOPLE
    pack = "'" + scope.pack_uri.replace("'", "''") + "'"
    marts.execute(people.format(pack=pack))


def _people(
    marts: duckdb.DuckDBPyConnection, pseudonyms: Pseudonyms | None
) -> Iterator[tuple[str, dict[str, str | int]]]:
    names = "from rpt_packs select pack_uri, pack_name"
    pack_names = dict(marts.execute(names).fetchall())
    rows = marts.execute("from graph_people order by did").fetchall()
    for did, handle, display_name, followers_count, post_count, pack_uris in rows:
        packs = {pack: pack_names.get(pack) or pack for pack in pack_uris or ()}
        if pseudonyms is not None:
            did = handle = display_name = pseudonyms.person(did)  # noqa: PLW2901
            packs = {pack: pseudonyms.pack_name(name, pack) for pack, name in packs.items()}
        attributes = {
            "label": handle or did,
            "handle": handle,
            "display_name": display_name,
            "packs": "; ".join(packs.values()),
            "followers_count": followers_count,
            "post_count": post_count,
        }
        # Neither format has a word for what is not known.
        yield did, {name: _in_xml(value) for name, value in attributes.items() if value is not None}


def _in_xml(value: str | int) -> str | int:
    return _NOT_IN_XML.sub("\ufffd", value) if isinstance(value, str) else value


def _ties(marts: duckdb.DuckDBPyConnection, query: str) -> Iterator[tuple[str, str, list[Spell]]]:
    rows = marts.execute(f"""
        select source, target, list(begins order by begins, ends), list(ends order by begins, ends)
        from ({query})
        where source in (select did from graph_people) and target in (select did from graph_people)
        group by source, target
        order by source, target
    """).fetchall()
    for source, target, begins, ends in rows:
        yield source, target, list(zip(begins, ends, strict=True))


def _edge(kinds: Iterable[str], ties: Mapping[str, list[Spell]]) -> dict[str, Any]:
    spells = _spells(sorted(chain(*ties.values()), key=lambda spell: spell[0]))
    edge = {"weight": sum(map(len, ties.values())), "first_on": spells[0][0].isoformat()}
    last = spells[-1][1]
    if last is not None:
        edge["last_on"] = (last - timedelta(days=1)).isoformat()
    counts = {kind: len(ties.get(kind, ())) for kind in kinds}
    return edge | counts | {"spells": [(begin.isoformat(), end and end.isoformat()) for begin, end in spells]}


def _spells(ties: Iterable[Spell]) -> list[Spell]:
    """Put what overlaps, or follows each other, into one spell. A spell without an end lasts.

    Args:
        ties: By their beginning.
    """
    spells: list[Spell] = []
    for begin, end in ties:
        if not spells:
            spells.append((begin, end))
            continue
        first, last = spells[-1]
        if last is None or begin <= last:
            spells[-1] = (first, None if last is None or end is None else max(last, end))
        else:
            spells.append((begin, end))
    return spells


def write_graph(graph: Graph, form: Format, path: Path) -> None:
    """Write a graph; an earlier file stays until the new one is whole.

    Args:
        graph: From `read_graph`.
        form: GEXF has the time of each tie, so that a timeline moves; GraphML its first and last day.
        path: The file.
    """
    import networkx as nx  # noqa: PLC0415

    with whole(path) as unfinished:
        if form == "gexf":
            nx.write_gexf(graph, unfinished, version="1.2draft")
            return
        without_spells = graph.copy()
        for _, _, attributes in without_spells.edges(data=True):
            attributes.pop("spells")
        nx.write_graphml(without_spells, unfinished)
