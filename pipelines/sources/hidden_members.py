"""Why the service hides somebody whom a list's creator has named: asked of it, and of the member's own server."""

from __future__ import annotations

import math
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pipelines.lake.tables import HiddenBecause
from pipelines.network import lexicon
from pipelines.network.appview import RELATIONSHIPS_LIMIT, NetworkError
from pipelines.network.failing_services import FailingServices
from pipelines.sources.beside import each_beside

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pipelines.network.connect import Network

OPT_OUT: Final = "app.bsky.graph.referencelistoptout"
MOST_PAGES: Final = 20
"""Pages of somebody's opt-outs that are read: their server must not keep a night for itself."""

LONGEST: Final = 120.0
"""Seconds after which no more of these pages are asked for."""

LONGEST_FOR_ALL: Final = 600.0
"""Seconds after which no other hidden member is asked about. A list may name any number of people, each with a server
of their own, and at its end a night waits for it; a thousand who answer take two minutes."""


@dataclass(frozen=True)
class HiddenMember:
    """A membership that the creator's repository has, and the service does not show.

    Attributes:
        did: The member.
        pack_uri: The pack, or the plain list.
        list_uri: The list that holds the members.
    """

    did: str
    pack_uri: str
    list_uri: str

    @property
    def creator_did(self) -> str:
        """Whose list it is."""
        return self.list_uri.removeprefix("at://").partition("/")[0]

    def is_among(self, subjects: Collection[str]) -> bool:
        """Tell whether opt-outs with these subjects take the member out of this list."""
        return self.list_uri in subjects or self.pack_uri in subjects


@dataclass
class HiddenMembers:
    """Asks why members are hidden. A night costs one request a hidden member, and one for 30 of one creator's.

    Attributes:
        network: The clients to ask.
        workers: Requests to members' servers under way at once.
        problems: One line for each answer of the service that is missing.
        notes: One line for each member whose own server cannot be asked: it may be gone for good.
    """

    network: Network
    workers: int
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _services: FailingServices = field(default_factory=FailingServices, repr=False)
    _latest: float = field(default=math.inf, repr=False)

    def reasons(
        self, hidden: Sequence[HiddenMember], unavailable: Collection[str]
    ) -> dict[HiddenMember, HiddenBecause]:
        """Find out why members are hidden.

        What nothing explains counts as an opt-out that could not be read: somebody is hidden, and was not asked.

        Args:
            hidden: The members.
            unavailable: Those of whom the service has said that it shows no profile. Their servers show no records
                either.
        """
        reasons = {member: HiddenBecause.UNAVAILABLE for member in hidden if member.did in unavailable}
        of_member: defaultdict[str, list[HiddenMember]] = defaultdict(list)
        for member in hidden:
            if member not in reasons:
                of_member[member.did].append(member)
        self._latest = time.monotonic() + LONGEST_FOR_ALL
        for found in each_beside(self._opt_outs, of_member.values(), self.workers):
            reasons |= found.result()
        rest = [member for member in hidden if member not in reasons]
        return reasons | dict.fromkeys(rest, HiddenBecause.OPT_OUT_UNKNOWN) | self._blocks(rest)

    def _opt_outs(self, members: list[HiddenMember]) -> dict[HiddenMember, HiddenBecause]:
        """Ask one person's repository: which lists it opts out of, or for all that this is not known."""
        did = members[0].did
        if time.monotonic() > self._latest:
            self.notes.append(f"{did}: hidden, and counts as opted out, as the time for asking hidden members is over")
            return dict.fromkeys(members, HiddenBecause.OPT_OUT_UNKNOWN)
        try:
            # A DID of the method `web` has a server of its own for its document.
            directory = "did:plc" if did.startswith("did:plc:") else did
            server = self._services.ask(directory, lambda: self.network.repositories.pds_endpoint(did))
            subjects, is_settled = self._services.ask(server, lambda: self._subjects(members))
        except NetworkError as error:
            self.notes.append(f"{did}: hidden, and counts as opted out, as this cannot be asked: {error}")
            return dict.fromkeys(members, HiddenBecause.OPT_OUT_UNKNOWN)
        reasons = {member: HiddenBecause.OPTED_OUT for member in members if member.is_among(subjects)}
        if is_settled:
            return reasons
        self.notes.append(f"{did}: hidden, and counts as opted out, as there is no end to the opt-outs of theirs")
        return dict.fromkeys(members, HiddenBecause.OPT_OUT_UNKNOWN) | reasons

    def _subjects(self, members: list[HiddenMember]) -> tuple[set[str], bool]:
        """Read the opt-outs of one person, and tell whether no others can matter."""
        subjects: set[str] = set()
        begun = time.monotonic()
        for number, page in enumerate(self.network.repositories.records(members[0].did, OPT_OUT), start=1):
            for record in page:
                opt_out, _ = lexicon.decode(record, lexicon.RepoListOptOut)
                if opt_out.value and opt_out.value.subject:
                    subjects.add(opt_out.value.subject)
            if all(member.is_among(subjects) for member in members):
                break
            if number == MOST_PAGES or time.monotonic() - begun > LONGEST:
                return subjects, False
        return subjects, True

    def _blocks(self, members: Iterable[HiddenMember]) -> dict[HiddenMember, HiddenBecause]:
        of_creator: defaultdict[str, list[HiddenMember]] = defaultdict(list)
        for member in members:
            of_creator[member.creator_did].append(member)
        reasons: dict[HiddenMember, HiddenBecause] = {}
        for creator_did, hidden in of_creator.items():
            blocks = self._blocks_with(creator_did, list(dict.fromkeys(member.did for member in hidden)))
            reasons |= {member: blocks[member.did] for member in hidden if member.did in blocks}
        return reasons

    def _blocks_with(self, creator_did: str, dids: Sequence[str]) -> dict[str, HiddenBecause]:
        blocks: dict[str, HiddenBecause] = {}
        for start in range(0, len(dids), RELATIONSHIPS_LIMIT):
            some = dids[start : start + RELATIONSHIPS_LIMIT]
            try:
                views = self.network.appview.relationships(creator_did, some)
            except NetworkError as error:
                self.problems.append(f"blocks between {creator_did} and {len(some)} hidden members: {error}")
                continue
            for view in views:
                relationship, _ = lexicon.decode(view, lexicon.Relationship)
                if relationship.did is None:
                    continue
                if relationship.blocked_by or relationship.blocked_by_list:
                    blocks[relationship.did] = HiddenBecause.BLOCKS_CREATOR
                elif relationship.blocking or relationship.blocking_by_list:
                    blocks[relationship.did] = HiddenBecause.BLOCKED_BY_CREATOR
        return blocks
