"""Finds the members that the service hides, in the records of a list's creator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from pipelines.network.errors import NetworkError
from pipelines.network.identifiers import is_did
from pipelines.network.repositories import list_of
from pipelines.sources.rows import Row, hidden_member_row

if TYPE_CHECKING:
    from collections.abc import Iterator

    import msgspec

    from pipelines.network.repositories import Repositories

MOST_ASKED_SINGLY: Final = 25
"""Memberships that are asked for one by one where nobody knows what reading all of the creator's would cost."""


class ListMemory(TypedDict):
    """What dlt's state keeps of a list between runs, so that its hidden members are not searched for every night.

    The creator's collection holds the memberships of all their lists, newest first, and a hidden member's may be the
    oldest.

    Attributes:
        item_count: Memberships by the service's count, when the list was read last.
        keys: Record keys of all that were found then, shown and hidden; fewer than `item_count` where all of the
            creator's records were searched in vain.
        search_requests: What the last search cost.
        opted_out: Those of the keys whose members had opted out. Nobody can be asked while they are unavailable, so
            they stay opted out until they are seen again.
    """

    item_count: int
    keys: list[str]
    search_requests: int
    opted_out: NotRequired[list[str]]


@dataclass
class Membership:
    """The members of one pack or plain list.

    Attributes:
        pack: Its row of `starter_packs`.
        is_complete: Whether these are all.
        rows: Rows of `starter_pack_members` by DID, listed members first.
        found: URIs of the memberships; a DID where there is none.
    """

    pack: Row
    is_complete: bool
    rows: dict[str, Row] = field(default_factory=dict)
    found: set[str] = field(default_factory=set)

    @property
    def creator_did(self) -> str:
        """Whose list it is."""
        return _creator_of(self.pack["list_uri"])

    def add(self, row: Row) -> bool:
        """Add the member that a row names, once; tell whether the row names one.

        Any software writes records. A subject that is malformed would make the service refuse a whole batch of
        profiles.
        """
        names_somebody = row["did"] is not None and is_did(row["did"])
        if names_somebody:
            self.rows.setdefault(row["did"], row)
            self.found.add(row["list_item_uri"] or row["did"])
        return names_somebody

    def members(self, *, is_listed: bool) -> list[Row]:
        """Give the rows of those whom the service shows, or of those whom it hides."""
        seen = {key: self.pack[key] for key in ("seed_type", "observed_at")} | {"pack_uri": self.pack["uri"]}
        return [row | seen for row in self.rows.values() if row["is_listed"] == is_listed]


@dataclass(frozen=True)
class HiddenSearch:
    """Searches for hidden members.

    Attributes:
        repositories: The servers.
        memories: What is remembered of lists, by URI; kept up.
    """

    repositories: Repositories
    memories: dict[str, ListMemory]

    def complete(self, membership: Membership) -> str | None:
        """Add the members that `getList` leaves out: who is unavailable, or in a block relation with the creator.

        The creator's own repository still names them, which tells a hidden member from one who left. Memberships that
        are remembered and not shown are asked for one by one: they are hidden, or gone. With those that are shown they
        are all, if they are as many as the service counts. If they are not, the creator's records are searched.

        Returns:
            What went wrong, for people; None if nothing did.
        """
        if not membership.is_complete:
            return None
        list_uri, count = membership.pack["list_uri"], membership.pack["list_item_count"] or 0
        memory = self.memories.get(list_uri) or ListMemory(item_count=0, keys=[], search_requests=0)
        creator_did, found = membership.creator_did, membership.found
        search_requests = memory["search_requests"]
        try:
            if len(found) < count:
                for raw in self._remembered(list_uri, memory, found):
                    membership.add(hidden_member_row(raw))
            is_as_before = memory["item_count"] == count and _keys(found, list_uri) == memory["keys"]
            if len(found) < count and not is_as_before:
                asked_before = self.repositories.requests_spent_on(creator_did)
                for raw in self.repositories.list_item_records(creator_did, list_uri):
                    membership.add(hidden_member_row(raw))
                    if len(found) == count:
                        break
                search_requests = self.repositories.requests_spent_on(creator_did) - asked_before
        except NetworkError as error:
            membership.is_complete = False
            return f"{membership.pack['uri']}: members that the service hides are unknown: {error}"
        self.memories[list_uri] = ListMemory(
            item_count=count,
            keys=_keys(found, list_uri),
            search_requests=search_requests,
            opted_out=memory.get("opted_out", []),
        )
        return None

    def _remembered(self, list_uri: str, memory: ListMemory, found: set[str]) -> Iterator[msgspec.Raw]:
        """Ask for the memberships that are remembered and not shown; for none where a search costs less."""
        uris = [uri for key in reversed(memory["keys"]) if (uri := _memberships_of(list_uri) + key) not in found]
        if len(uris) > max(MOST_ASKED_SINGLY, memory["search_requests"]):
            return
        for uri in uris:
            raw = self.repositories.list_item_record(uri)
            if raw is not None and list_of(raw) == list_uri:
                yield raw


def key_of(row: Row) -> str:
    """Give the record key of a membership."""
    uri: str = row["list_item_uri"]
    return uri.rpartition("/")[2]


def _keys(found: set[str], list_uri: str) -> list[str]:
    beginning = _memberships_of(list_uri)
    return sorted(uri.removeprefix(beginning) for uri in found if uri.startswith(beginning))


def _memberships_of(list_uri: str) -> str:
    return f"at://{_creator_of(list_uri)}/app.bsky.graph.listitem/"


def _creator_of(list_uri: str) -> str:
    return list_uri.removeprefix("at://").partition("/")[0]
