"""Hidden members cost a few requests a night, and are those that a search of all the creator's records would find."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.network.appview import ListPage
from pipelines.sources.hidden_search import MOST_ASKED_SINGLY, ListMemory
from pipelines.sources.roster import Roster, RosterReader, Seeds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.network.connect import Network

CREATOR = "did:plc:creatorcreatorcreatorcre"
LIST, OTHER_LIST = (f"at://{CREATOR}/app.bsky.graph.list/{key}" for key in ("3laaaaaaaaaaa", "3lbbbbbbbbbbb"))
PAGE = 3

KEYS = st.integers(0, 5)
PEOPLE = st.integers(0, 3)
RECORDS = st.dictionaries(KEYS, st.tuples(PEOPLE, st.sampled_from([LIST, LIST, LIST, OTHER_LIST])), min_size=1)
NIGHTS = st.lists(st.tuples(RECORDS, st.sets(PEOPLE)), min_size=2, max_size=5)
"""What a creator's records are on each night, and who is hidden. From one to the next anything may have happened."""


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

    # The services.

    def list_pages(self, list_uri: str) -> Iterator[ListPage]:
        items = [(key, did) for key, (did, in_list) in sorted(self.records.items()) if in_list == list_uri]
        view = {"uri": list_uri, "listItemCount": len(items) + self.excess}
        shown = [{"uri": uri_of(key), "subject": {"did": did}} for key, did in items if did not in self.hidden]
        yield ListPage(raw(view), [raw(item) for item in shown], None)

    def profiles(self, dids: list[str]) -> list[msgspec.Raw]:
        return []

    def requests_spent_on(self, did: str) -> int:
        return self.requests

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
        reader = RosterReader(network, lambda: datetime(2026, 3, 2, tzinfo=UTC), 1, memories)
        return reader.with_hidden(reader.read(Seeds(lists=[LIST])))


def uri_of(key: str) -> str:
    return f"at://{CREATOR}/app.bsky.graph.listitem/{key}"


def raw(content: Any) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(content))


def members(roster: Roster) -> set[tuple[str, bool]]:
    return {(member["did"], member["is_listed"]) for member in roster.members}


@settings(max_examples=150)
@given(nights=NIGHTS, excess=st.integers(0, 1))
def test_what_is_remembered_changes_nothing_but_the_cost(
    nights: list[tuple[dict[int, tuple[int, str]], set[int]]], excess: int
) -> None:
    memories: dict[str, ListMemory] = {}
    for records, hidden in nights:
        world = Memberships(hidden={person(number) for number in hidden}, excess=excess)
        for key, (subject, in_list) in records.items():
            world.write(key, subject, in_list)
        of_list = [did for did, in_list in world.records.values() if in_list == LIST]
        if not of_list:
            continue
        afresh = world.read({})
        search_cost = world.requests
        for most in (MOST_ASKED_SINGLY + search_cost, sum(did in world.hidden for did in of_list)):
            asked_before = world.requests
            roster = world.read(memories)
            assert members(roster) == members(afresh)
            assert roster.starter_packs[0]["is_membership_complete"]
            assert world.requests - asked_before <= most, (
                "a second look asks for those that are hidden, and for no more"
            )


def test_a_long_search_is_made_once() -> None:
    world, memories = Memberships(), dict[str, ListMemory]()
    for key in range(1_000):
        world.write(key, key % 8, LIST if key < 20 else OTHER_LIST)
    world.hidden.add(person(3))
    costs = []
    for _ in range(3):
        asked = world.requests
        assert (person(3), False) in members(world.read(memories))
        costs.append(world.requests - asked)
    assert costs[0] > 300
    assert costs[1:] == [3, 3]
