"""Reads whom a run follows: the members of the packs and lists in the configuration, and its single actors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NotRequired, TypedDict

from pipelines.lake.forgotten import forgotten
from pipelines.lake.tables import HiddenBecause
from pipelines.network.appview import PROFILES_LIMIT, NetworkError, ServiceUnreachable
from pipelines.network.identifiers import UnrecognizedLink, is_did
from pipelines.network.repositories import list_of
from pipelines.network.resolve import resolve_actor, resolve_list, resolve_pack
from pipelines.sources.hidden_members import HiddenMember, HiddenMembers
from pipelines.sources.rows import (
    Row,
    hidden_member_row,
    list_row,
    listed_member_row,
    microseconds,
    profile_row,
    starter_pack_row,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    import msgspec

    from pipelines.network.connect import Network


MOST_ASKED_SINGLY: Final = 25
"""Memberships that are asked for one by one where nobody knows what reading all of the creator's would cost."""


class NobodyToFollow(Exception):  # noqa: N818 (named as the errors of the network are)
    """No member could be found. The message says why, a line for each pack, list or actor."""


class SeedForgotten(Exception):  # noqa: N818 (named as the errors of the network are)
    """The settings name somebody who is forgotten. The message does not say whom."""


@dataclass(frozen=True)
class Seeds:
    """What the configuration names, in any form that `network/identifiers.py` reads."""

    starter_packs: Sequence[str] = ()
    lists: Sequence[str] = ()
    actors: Sequence[str] = ()


@dataclass
class Roster:
    """Whom one run follows.

    Attributes:
        starter_packs: Rows of `starter_packs`.
        members: Rows of `starter_pack_members`: one for each pack that somebody is in, or has opted out of.
        profiles: Rows of `profiles` by DID. Members who are unavailable, or not followed, have none.
        problems: One line for each pack, list or actor that could not be read, or not in full.
        notes: One line for each hidden member of whom it is not known whether they opted out.
        follow_blocked: Whether members in a block relation with the list's creator are followed.
    """

    starter_packs: list[Row] = field(default_factory=list)
    members: list[Row] = field(default_factory=list)
    profiles: dict[str, Row] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    follow_blocked: bool = False

    @property
    def dids(self) -> list[str]:
        """The members who are followed, each once, in the order of the packs."""
        return list(dict.fromkeys(member["did"] for member in self.members if self._is_followed(member)))

    def _is_followed(self, member: Row) -> bool:
        because = member.get("hidden_because")
        return because is None or HiddenBecause(because).is_followed(follow_blocked=self.follow_blocked)

    def name_of(self, did: str) -> str:
        """Name a member for people: by handle, if one is known that leads to them."""
        seen_in = [self.profiles.get(did, {}), *(member for member in self.members if member["did"] == did)]
        handles = (row.get("handle") for row in seen_in)
        return next((handle for handle in handles if handle and handle != "handle.invalid"), did)


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
class RosterReader:
    """Reads a roster from the network.

    Attributes:
        network: The clients to ask.
        clock: Tells the time of an observation. It is asked after each answer, never before the first, which may tell
            that this machine's clock is wrong.
        workers: Requests for profiles under way at once.
        memories: What is remembered of lists, by URI; kept up.
        follow_blocked: Whether members in a block relation with the list's creator are followed.
    """

    network: Network
    clock: Callable[[], datetime]
    workers: int
    memories: dict[str, ListMemory] = field(default_factory=dict)
    follow_blocked: bool = False

    def read(self, seeds: Seeds) -> Roster:
        """Read packs, lists, members and profiles.

        Raises:
            ServiceUnreachable: The service cannot be reached, and no member is known yet.
            NobodyToFollow: The seeds have no members.
        """
        roster = Roster(follow_blocked=self.follow_blocked)
        for kind, links in (
            (self._read_starter_pack, seeds.starter_packs),
            (self._read_list, seeds.lists),
            (self._read_actor, seeds.actors),
        ):
            for link in links:
                try:
                    kind(link, roster)
                except ServiceUnreachable as error:
                    if not roster.members:
                        raise
                    roster.problems.append(str(error))
                except (NetworkError, UnrecognizedLink, SeedForgotten) as error:
                    roster.problems.append(str(error))
        roster.members = [member for member in roster.members if not forgotten().names(member["did"])]
        if not roster.members:
            nobody = "Nobody to follow: name starter_packs, lists or actors in .dlt/config.toml that have members."
            raise NobodyToFollow("\n".join(roster.problems) or nobody)
        unavailable = self._read_profiles(roster)
        self._explain_hidden_members(roster, unavailable)
        actors_seen = {"observed_at": microseconds(self.clock())}
        roster.members = [actors_seen | member for member in roster.members]
        return roster

    def _read_starter_pack(self, link: str, roster: Roster) -> None:
        uri = resolve_pack(link, self.network.appview, self.network.short_links)
        _refuse_forgotten("starter_packs", uri)
        view = self.network.appview.starter_pack(uri)
        self._read_members(starter_pack_row(view, self.clock()) | {"uri": uri}, roster)

    def _read_list(self, link: str, roster: Roster) -> None:
        uri = resolve_list(link, self.network.appview)
        _refuse_forgotten("lists", uri)
        self._read_members({"uri": uri, "list_uri": uri}, roster)

    def _read_actor(self, link: str, roster: Roster) -> None:
        did = resolve_actor(link, self.network.appview)
        _refuse_forgotten("actors", did)
        roster.members.append({"pack_uri": f"at://{did}", "did": did, "seed_type": "actor", "is_listed": True})

    def _read_members(self, pack: Row, roster: Roster) -> None:
        members: dict[str, Row] = {}
        found: set[str] = set()
        is_complete = bool(pack["list_uri"])
        if not is_complete:
            roster.problems.append(f"{pack['uri']}: the service does not say which list holds its members")
        else:
            try:
                for page in self.network.appview.list_pages(pack["list_uri"]):
                    if "seed_type" not in pack:
                        pack |= list_row(page.list, self.clock()) | {"uri": pack["uri"], "list_uri": pack["list_uri"]}
                    for raw in page.items:
                        is_complete &= _add(members, listed_member_row(raw), found)
            except NetworkError as error:
                if "seed_type" not in pack:
                    raise
                roster.problems.append(f"{pack['uri']}: {error}")
                is_complete = False
        if is_complete:
            is_complete = self._add_hidden_members(pack, members, found, roster)
        roster.starter_packs.append(pack | {"is_membership_complete": is_complete})
        seen = {key: pack[key] for key in ("seed_type", "observed_at")} | {"pack_uri": pack["uri"]}
        roster.members.extend(member | seen for member in members.values())

    def _add_hidden_members(self, pack: Row, members: dict[str, Row], found: set[str], roster: Roster) -> bool:
        """Add the members that `getList` leaves out: who is unavailable, or in a block relation with the creator.

        The creator's own repository still names them, which tells a hidden member from one who left. Memberships that
        are remembered and not shown are asked for one by one: they are hidden, or gone. With those that are shown they
        are all, if they are as many as the service counts. If they are not, the creator's records are searched.
        """
        list_uri, count = pack["list_uri"], pack["list_item_count"] or 0
        memory = self.memories.get(list_uri) or ListMemory(item_count=0, keys=[], search_requests=0)
        repositories = self.network.repositories
        search_requests = memory["search_requests"]
        try:
            if len(found) < count:
                for raw in self._remembered(list_uri, memory, found):
                    _add(members, hidden_member_row(raw), found)
            is_as_before = memory["item_count"] == count and _keys(found, list_uri) == memory["keys"]
            if len(found) < count and not is_as_before:
                asked_before = repositories.stats.requests
                for raw in repositories.list_item_records(_creator_of(list_uri), list_uri):
                    _add(members, hidden_member_row(raw), found)
                    if len(found) == count:
                        break
                search_requests = repositories.stats.requests - asked_before
        except NetworkError as error:
            roster.problems.append(f"{pack['uri']}: members that the service hides are unknown: {error}")
            return False
        self.memories[list_uri] = ListMemory(
            item_count=count,
            keys=_keys(found, list_uri),
            search_requests=search_requests,
            opted_out=memory.get("opted_out", []),
        )
        return True

    def _remembered(self, list_uri: str, memory: ListMemory, found: set[str]) -> Iterator[msgspec.Raw]:
        """Ask for the memberships that are remembered and not shown; for none where a search costs less."""
        uris = [uri for key in reversed(memory["keys"]) if (uri := _memberships_of(list_uri) + key) not in found]
        if len(uris) > max(MOST_ASKED_SINGLY, memory["search_requests"]):
            return
        for uri in uris:
            raw = self.network.repositories.list_item_record(uri)
            if raw is not None and list_of(raw) == list_uri:
                yield raw

    def _explain_hidden_members(self, roster: Roster, unavailable: set[str]) -> None:
        """Say of each hidden member why, and leave out the profiles of those who are not followed."""
        list_uris = {pack["uri"]: pack["list_uri"] for pack in roster.starter_packs}
        hidden = [
            (HiddenMember(row["did"], row["pack_uri"], list_uris[row["pack_uri"]]), row)
            for row in roster.members
            if not row["is_listed"]
        ]
        asking = HiddenMembers(self.network, self.workers)
        reasons = asking.reasons(list(dict.fromkeys(member for member, _ in hidden)), unavailable)
        for member, row in hidden:
            memory = self.memories.get(member.list_uri)
            remembered = memory.get("opted_out", []) if memory else []
            is_unanswered = reasons[member] in {HiddenBecause.UNAVAILABLE, HiddenBecause.OPT_OUT_UNKNOWN}
            stays_out = is_unanswered and _key(row) in remembered
            row["hidden_because"] = (HiddenBecause.OPTED_OUT if stays_out else reasons[member]).value
        for pack in roster.starter_packs:
            if pack["is_membership_complete"]:
                self.memories[pack["list_uri"]]["opted_out"] = sorted(
                    {
                        _key(row)
                        for member, row in hidden
                        if member.list_uri == pack["list_uri"] and row["hidden_because"] == HiddenBecause.OPTED_OUT
                    }
                )
        roster.problems += asking.problems
        roster.notes += asking.notes
        followed = set(roster.dids)
        roster.profiles = {did: row for did, row in roster.profiles.items() if did in followed}

    def _read_profiles(self, roster: Roster) -> set[str]:
        """Read the profiles of all members.

        Returns:
            The members of whom the service has said that it shows no profile.
        """
        dids, unavailable = roster.dids, set[str]()
        batches = [dids[start : start + PROFILES_LIMIT] for start in range(0, len(dids), PROFILES_LIMIT)]
        with ThreadPoolExecutor(self.workers) as pool:
            for batch, (rows, problem) in zip(batches, pool.map(self._profile_rows, batches), strict=True):
                roster.profiles.update((row["did"], row) for row in rows)
                if problem:
                    roster.problems.append(problem)
                else:
                    unavailable.update(did for did in batch if did not in roster.profiles)
        return unavailable

    def _profile_rows(self, dids: Sequence[str]) -> tuple[list[Row], str | None]:
        try:
            views = self.network.appview.profiles(dids)
            rows = [profile_row(raw, self.clock()) for raw in views]
        except NetworkError as error:
            return [], f"profiles of {len(dids)} members: {error}"
        return [row for row in rows if row["did"] is not None], None


def _refuse_forgotten(setting: str, identifier: str) -> None:
    if forgotten().names(identifier):
        raise SeedForgotten(f"{setting} in [sources.bluesky] names somebody who is forgotten: take them out of it.")


def _add(members: dict[str, Row], row: Row, found: set[str]) -> bool:
    """Add the member that a row names, once; tell whether the row names one.

    Any software writes records. A subject that is malformed would make the service refuse a whole batch of profiles.

    Args:
        members: Rows by DID.
        row: The row of one membership.
        found: Takes the URI of the membership.
    """
    names_somebody = row["did"] is not None and is_did(row["did"])
    if names_somebody:
        members.setdefault(row["did"], row)
        found.add(row["list_item_uri"] or row["did"])
    return names_somebody


def _keys(found: set[str], list_uri: str) -> list[str]:
    beginning = _memberships_of(list_uri)
    return sorted(uri.removeprefix(beginning) for uri in found if uri.startswith(beginning))


def _key(row: Row) -> str:
    uri: str = row["list_item_uri"]
    return uri.rpartition("/")[2]


def _memberships_of(list_uri: str) -> str:
    return f"at://{_creator_of(list_uri)}/app.bsky.graph.listitem/"


def _creator_of(list_uri: str) -> str:
    return list_uri.removeprefix("at://").partition("/")[0]
