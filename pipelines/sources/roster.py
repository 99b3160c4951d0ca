"""Reads whom a run follows: the members of the packs and lists in the configuration, and its single actors."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Final

from pipelines.lake.forgotten import forgotten
from pipelines.lake.tables import HiddenBecause
from pipelines.network.appview import (
    PROFILES_LIMIT,
    ActorNotFound,
    AuthenticationFailed,
    NetworkError,
    RequestRejected,
    ServiceUnreachable,
)
from pipelines.network.errors import one_line
from pipelines.network.identifiers import UnrecognizedLink, is_handle
from pipelines.network.resolve import resolve_actor, resolve_list, resolve_pack
from pipelines.sources.beside import each_beside
from pipelines.sources.hidden_members import HiddenMember, HiddenMembers
from pipelines.sources.hidden_search import HiddenSearch, ListMemory, Membership, key_of
from pipelines.sources.rows import Row, list_row, listed_member_row, microseconds, profile_row, starter_pack_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from pipelines.network.connect import Network


_OPTIONS: Final = {"starter_packs": "--pack", "lists": "--list", "actors": "--actor"}
"""What on the command line stands for a setting."""


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
        members: Rows of `starter_pack_members`: one for each pack that somebody is in, or has opted out of. Those whom
            the service hides come last.
        profiles: Rows of `profiles` by DID. Members who are unavailable, or not followed, have none.
        problems: One line for each pack, list or actor that could not be read, or not in full.
        notes: One line for each hidden member of whom it is not known whether they opted out, and for each single actor
            whose account is not available.
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
        seen_in = chain([self.profiles.get(did, {})], (member for member in self.members if member["did"] == did))
        handles = (row.get("handle") for row in seen_in)
        return next((handle for handle in handles if handle and handle != "handle.invalid"), did)


@dataclass
class RosterReader:
    """Reads a roster from the network, once.

    `read` asks the service that the user has chosen, and gives the members that it shows. `with_hidden` asks the
    servers of list creators and of hidden members, which are strangers': it may take long, and nobody else's feed need
    wait for it.

    Attributes:
        network: The clients to ask.
        clock: Tells the time of an observation. It is asked after each answer, never before the first, which may tell
            that this machine's clock is wrong.
        workers: Requests for profiles, and servers of strangers, under way at once.
        memories: What is remembered of lists, by URI; kept up.
        follow_blocked: Whether members in a block relation with the list's creator are followed.
    """

    network: Network
    clock: Callable[[], datetime]
    workers: int
    memories: dict[str, ListMemory] = field(default_factory=dict)
    follow_blocked: bool = False
    _memberships: list[Membership] = field(default_factory=list, repr=False)
    _unavailable: set[str] = field(default_factory=set, repr=False)
    _actors: dict[str, str] = field(default_factory=dict, repr=False)

    def read(self, seeds: Seeds) -> Roster:
        """Read lists, the members that they show, and these members' profiles.

        Raises:
            ServiceUnreachable: The service cannot be reached, and no member is known yet.
        """
        roster = Roster(follow_blocked=self.follow_blocked)
        for setting, read, links in (
            ("starter_packs", self._read_starter_pack, seeds.starter_packs),
            ("lists", self._read_list, seeds.lists),
            ("actors", self._read_actor, seeds.actors),
        ):
            for link in links:
                try:
                    read(link, roster)
                except ServiceUnreachable as error:
                    if not roster.members:
                        raise
                    roster.problems.append(str(error))
                except (NetworkError, UnrecognizedLink) as error:
                    roster.problems.append(_explain_seed(setting, link, error))
                except SeedForgotten as error:
                    roster.problems.append(str(error))
        roster.members = _not_forgotten(roster.members)
        self._read_profiles(roster, roster.dids)
        actors_seen = {"observed_at": microseconds(self.clock())}
        roster.members = [actors_seen | member for member in roster.members]
        return roster

    def with_hidden(self, listed: Roster) -> Roster:
        """Find the members whom the service hides, and why, and give the whole roster.

        Args:
            listed: What `read` gave. It stays as it is.

        Raises:
            NobodyToFollow: Nobody is listed, and nobody hidden.
        """
        roster = replace(listed, profiles=dict(listed.profiles), problems=list(listed.problems))
        roster.problems += self._search()
        hidden = [row for one in self._memberships for row in _not_forgotten(one.members(is_listed=False))]
        roster.members = listed.members + hidden
        if not roster.members:
            nobody = "Nobody to follow: name starter_packs, lists or actors in .dlt/config.toml that have members."
            raise NobodyToFollow("\n".join(roster.problems) or nobody)
        known = set(listed.dids)
        self._read_profiles(roster, [did for did in roster.dids if did not in known])
        self._explain(hidden, roster)
        roster.notes += [
            f"{_setting('actors')} names {one_line(link, 100)!r}, whose account is deactivated, suspended or gone."
            " If it stays so, take it out."
            for did, link in self._actors.items()
            if did in self._unavailable
        ]
        roster.starter_packs = [one.pack | {"is_membership_complete": one.is_complete} for one in self._memberships]
        followed = set(roster.dids)
        roster.profiles = {did: row for did, row in roster.profiles.items() if did in followed}
        return roster

    def _search(self) -> list[str]:
        """Search for hidden members: several creators' at once, and one's lists after each other."""
        search = HiddenSearch(self.network.repositories, self.memories)
        of_creator: dict[str, list[Membership]] = {}
        for membership in self._memberships:
            if membership.is_complete:
                of_creator.setdefault(membership.creator_did, []).append(membership)
        found = each_beside(lambda lists: list(map(search.complete, lists)), of_creator.values(), self.workers)
        return [problem for future in found for problem in future.result() if problem]

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
        self._actors.setdefault(did, link)
        roster.members.append({"pack_uri": f"at://{did}", "did": did, "seed_type": "actor", "is_listed": True})

    def _read_members(self, pack: Row, roster: Roster) -> None:
        membership = Membership(pack, is_complete=bool(pack["list_uri"]))
        if not membership.is_complete:
            roster.problems.append(f"{pack['uri']}: the service does not say which list holds its members")
        else:
            try:
                for page in self.network.appview.list_pages(pack["list_uri"]):
                    if "seed_type" not in pack:
                        pack |= list_row(page.list, self.clock()) | {"uri": pack["uri"], "list_uri": pack["list_uri"]}
                    for raw in page.items:
                        membership.is_complete &= membership.add(listed_member_row(raw))
            except NetworkError as error:
                if "seed_type" not in pack:
                    raise
                roster.problems.append(f"{pack['uri']}: {error}")
                membership.is_complete = False
        self._memberships.append(membership)
        roster.members += membership.members(is_listed=True)

    def _explain(self, hidden: Sequence[Row], roster: Roster) -> None:
        """Say of each hidden member why."""
        list_uris = {one.pack["uri"]: one.pack["list_uri"] for one in self._memberships}
        rows = [(HiddenMember(row["did"], row["pack_uri"], list_uris[row["pack_uri"]]), row) for row in hidden]
        asking = HiddenMembers(self.network, self.workers)
        reasons = asking.reasons(list(dict.fromkeys(member for member, _ in rows)), self._unavailable)
        for member, row in rows:
            memory = self.memories.get(member.list_uri)
            remembered = memory.get("opted_out", []) if memory else []
            is_unanswered = reasons[member] in {HiddenBecause.UNAVAILABLE, HiddenBecause.OPT_OUT_UNKNOWN}
            stays_out = is_unanswered and key_of(row) in remembered
            row["hidden_because"] = (HiddenBecause.OPTED_OUT if stays_out else reasons[member]).value
        for list_uri in {one.pack["list_uri"] for one in self._memberships if one.is_complete}:
            self.memories[list_uri]["opted_out"] = sorted(
                {
                    key_of(row)
                    for member, row in rows
                    if member.list_uri == list_uri and row["hidden_because"] == HiddenBecause.OPTED_OUT
                }
            )
        roster.problems += asking.problems
        roster.notes = asking.notes

    def _read_profiles(self, roster: Roster, dids: Sequence[str]) -> None:
        """Read profiles, and note of whom the service says that it shows none."""
        batches = [dids[start : start + PROFILES_LIMIT] for start in range(0, len(dids), PROFILES_LIMIT)]
        with ThreadPoolExecutor(self.workers) as pool:
            for batch, (rows, problem) in zip(batches, pool.map(self._profile_rows, batches), strict=True):
                roster.profiles.update((row["did"], row) for row in rows)
                if problem:
                    roster.problems.append(problem)
                else:
                    self._unavailable.update(did for did in batch if did not in roster.profiles)

    def _profile_rows(self, dids: Sequence[str]) -> tuple[list[Row], str | None]:
        try:
            views = self.network.appview.profiles(dids)
            rows = [profile_row(raw, self.clock()) for raw in views]
        except NetworkError as error:
            return [], f"profiles of {len(dids)} members: {error}"
        return [row for row in rows if row["did"] is not None], None


def _explain_seed(setting: str, link: str, error: NetworkError | UnrecognizedLink) -> str:
    """Name the setting, its value as it is written, what is wrong with it, and what to do."""
    if isinstance(error, UnrecognizedLink):  # It has the value.
        return f"{_setting(setting)}: {error}"
    said = f"{_setting(setting)} names {one_line(link, 100)!r}"
    if isinstance(error, ActorNotFound) and is_handle(error.subject):
        return f"{said}: nobody has the handle {error.subject} now. Write their DID, or the handle of today. ({error})"
    if isinstance(error, RequestRejected) and not isinstance(error, AuthenticationFailed):
        return f"{said}: the service shows nothing there. Copy its link anew, or take it out. ({error})"
    return f"{said}: {error}"


def _setting(name: str) -> str:
    return f"{name} in [sources.bluesky] (or {_OPTIONS[name]})"


def _refuse_forgotten(setting: str, identifier: str) -> None:
    if forgotten().names(identifier):
        raise SeedForgotten(f"{setting} in [sources.bluesky] names somebody who is forgotten: take them out of it.")


def _not_forgotten(members: Sequence[Row]) -> list[Row]:
    return [member for member in members if not forgotten().names(member["did"])]
