"""Hidden members cost a few requests a night, and are those that a search of all the creator's records would find."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from pipelines.network.appview import ListPage, RequestStats
from pipelines.sources.roster import MOST_ASKED_SINGLY, ListMemory, Roster, RosterReader, Seeds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.network.connect import Network

CREATOR = "did:plc:creatorcreatorcreatorcre"
LIST, OTHER_LIST = (f"at://{CREATOR}/app.bsky.graph.list/{key}" for key in ("3laaaaaaaaaaa", "3lbbbbbbbbbbb"))
PAGE = 3

KEYS = st.integers(0, 30)
PEOPLE = st.integers(0, 8)
STEPS = st.one_of(
    # Records are written, over others too, with keys in any order; most are of this list.
    st.tuples(st.just("write"), KEYS, PEOPLE, st.sampled_from([LIST, LIST, LIST, OTHER_LIST])),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("hide"), PEOPLE),
    st.tuples(st.just("show"), PEOPLE),
)


def person(number: int) -> str:
    return f"did:plc:{'person':a<23}{number}"


@dataclass
class Memberships:
    """A creator's memberships, and what an AppView and a repository serve of them; it counts what it is asked.

    Attributes:
        records: Subject and list by record key.
        hidden: Who is in no list that is served.
        excess: By how much the service's count is too high.
    """

    records: dict[str, tuple[str, str]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    excess: int = 0
    requests: int = 0

    def write(self, key: int, subject: int, in_list: str) -> None:
        self.records[f"{key:013}"] = (person(subject), in_list)

    def delete(self, key: int) -> None:
        self.records.pop(f"{key:013}", None)

    def hide(self, subject: int) -> None:
        self.hidden.add(person(subject))

    def show(self, subject: int) -> None:
        self.hidden.discard(person(subject))

    # The services.

    def list_pages(self, list_uri: str) -> Iterator[ListPage]:
        items = [(key, did) for key, (did, in_list) in sorted(self.records.items()) if in_list == list_uri]
        view = {"uri": list_uri, "listItemCount": len(items) + self.excess}
        shown = [{"uri": uri_of(key), "subject": {"did": did}} for key, did in items if did not in self.hidden]
        yield ListPage(raw(view), [raw(item) for item in shown], None)

    def profiles(self, dids: list[str]) -> list[msgspec.Raw]:
        return []

    @property
    def stats(self) -> RequestStats:
        return RequestStats(self.requests)

    def list_item_records(self, creator_did: str, list_uri: str) -> Iterator[msgspec.Raw]:
        assert creator_did == CREATOR
        for number, key in enumerate(sorted(self.records, reverse=True)):
            self.requests += number % PAGE == 0
            if self.records[key][1] == list_uri:
                yield self._record(key)

    def list_item_record(self, uri: str) -> msgspec.Raw | None:
        self.requests += 1
        key = uri.rpartition("/")[2]
        return self._record(key) if key in self.records else None

    def _record(self, key: str) -> msgspec.Raw:
        subject, in_list = self.records[key]
        return raw({"uri": uri_of(key), "value": {"subject": subject, "list": in_list}})

    # What is read of them.

    def read(self, memories: dict[str, ListMemory]) -> Roster:
        network = cast("Network", type("Network", (), {"appview": self, "repositories": self}))
        return RosterReader(network, lambda: datetime(2026, 3, 2, tzinfo=UTC), 1, memories).read(Seeds(lists=[LIST]))


def uri_of(key: str) -> str:
    return f"at://{CREATOR}/app.bsky.graph.listitem/{key}"


def raw(content: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(content))


def members(roster: Roster) -> set[tuple[str, bool]]:
    return {(member["did"], member["is_listed"]) for member in roster.members}


@given(nights=st.lists(st.lists(STEPS, max_size=6), min_size=1, max_size=6), excess=st.integers(0, 2))
def test_what_is_remembered_changes_nothing_but_the_cost(nights: list[list[tuple[Any, ...]]], excess: int) -> None:
    world, memories = Memberships(excess=excess), dict[str, ListMemory]()
    world.write(99, 8, LIST)
    for steps in nights:
        for name, *arguments in steps:
            getattr(world, name)(*arguments)
        if not any(in_list == LIST for _, in_list in world.records.values()):
            continue
        if all(did in world.hidden for did, in_list in world.records.values() if in_list == LIST):
            world.hidden.clear()
        asked = world.requests
        afresh = world.read({})
        search_cost = world.requests - asked
        for is_again in (False, True):
            asked = world.requests
            roster = world.read(memories)
            cost = world.requests - asked
            assert members(roster) == members(afresh)
            assert roster.starter_packs[0]["is_membership_complete"]
            unshown = sum(in_list == LIST and did in world.hidden for did, in_list in world.records.values())
            remembered_at_most = MOST_ASKED_SINGLY
            assert cost <= (unshown if is_again else remembered_at_most + search_cost + 1)


def test_a_long_search_is_made_once() -> None:
    world, memories = Memberships(), dict[str, ListMemory]()
    for key in range(1_000):
        world.write(key, key % 8, LIST if key < 20 else OTHER_LIST)
    world.hide(3)
    costs = []
    for _ in range(3):
        asked = world.requests
        assert (person(3), False) in members(world.read(memories))
        costs.append(world.requests - asked)
    assert costs[0] > 300
    assert costs[1:] == [3, 3]
