"""Where dlt's state keeps what is remembered of the members: with the table that it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from pipelines.lake.packed import pack, unpack
from pipelines.lake.tables import AUTHOR_FEED, FEED_AUDITS, MEMBER_RECORDS, RECORD_CHECKS

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from pipelines.sources.feed_walk import MemberState

MOST_IN_THE_OPEN: Final = 500
"""So many members' states dlt holds as they are, for whoever looks into its state. More would make each load dearer."""

_FORMER_RESOURCE: Final = "member_feeds"
_HOLDS_AUDITS: Final = "holds_audits"

Part: TypeAlias = "dict[str, MemberState] | str"
"""States of some members by DID, or the text that `pack` makes of them."""


class Remembering(Protocol):
    """Where states of members go to: a `dict` by DID, or `MemberStates`."""

    def update(self, moved: Mapping[str, MemberState], /) -> None:
        """Remember states of some members, in place of those before."""


class MemberStates:
    """The members' states, as dlt's state holds them: by DID, and packed where they are many.

    dlt reads, hashes and writes the whole state a dozen times for each load. So of more than `MOST_IN_THE_OPEN` members
    it holds no values but texts, each of which is the states of some of them. A load adds what it moved, and so costs
    the same however many members were walked before it; of two parts that have the same member, the later counts. All
    are put together as a night begins, and when the later ones have become longer than the first: a few times in a long
    first night.

    Safe to add to from several threads.

    Args:
        parts: The list that dlt's state holds.
    """

    def __init__(self, parts: list[Part]) -> None:
        self._parts = parts

    def update(self, moved: Mapping[str, MemberState], /) -> None:
        """Remember states of some members, in place of those before."""
        if moved:
            are_many = bool(self._parts) and isinstance(self._parts[0], str)
            self._parts.append(pack(moved) if are_many else dict(moved))

    def by_did(self) -> dict[str, MemberState]:
        """Give the states by DID."""
        states: dict[str, MemberState] = {}
        for part in self._parts:
            states |= unpack(part) if isinstance(part, str) else part
        return states

    def replace(self, states: Mapping[str, MemberState]) -> None:
        """Remember these states, and no others."""
        self._parts[:] = [pack(states) if len(states) > MOST_IN_THE_OPEN else dict(states)]

    @property
    def is_long(self) -> bool:
        """Whether the later parts have become longer than the first."""
        return sum(map(len, self._parts[1:])) > len(self._parts[0] if self._parts else "")

    def put_together(self) -> dict[str, MemberState]:
        """Make one part of all, and give the states as `by_did` does."""
        states = self.by_did()
        if states:
            self.replace(states)
        return states


def member_states(source_state: dict[str, Any], tables: Container[str]) -> MemberStates:
    """Find the members' states, in the resource state of `author_feed`.

    `dlt pipeline bluesky drop author_feed` deletes a table and resets the state of the resource of that name; so the
    cursors go with the items that they stand for. Once they were kept under `member_feeds`, which has no table: these
    are moved, unless the table has been dropped since. And once they were in no list.

    What is remembered of audits goes with `feed_audits`, and with `record_checks`, which holds what they found gone and
    what they read from repositories; which other records they kept goes with `member_records`. A table without rows is
    in no schema, and an audit may have found nothing to say; so a mark in the state of either tells that it was not
    dropped since.

    Args:
        source_state: dlt's state of the source, which is changed.
        tables: The tables of the source's schema.
    """
    resources = source_state.setdefault("resources", {})
    former: dict[str, MemberState] = resources.pop(_FORMER_RESOURCE, {}).get("members", {})
    own = resources.setdefault(AUTHOR_FEED.name, {})
    if "members" not in own:
        own["members"] = former if AUTHOR_FEED.name in tables else {}
    if isinstance(own["members"], dict):
        own["members"] = [own["members"]] if own["members"] else []
    members = MemberStates(own["members"])
    checks = resources.setdefault(RECORD_CHECKS.name, {})
    if FEED_AUDITS.name not in tables or _HOLDS_AUDITS not in checks:
        _change_audited(members, lambda state: state.pop("audit"))
        checks[_HOLDS_AUDITS] = True
    kept = resources.setdefault(MEMBER_RECORDS.name, {})
    if _HOLDS_AUDITS not in kept:
        _change_audited(members, lambda state: state["audit"].pop("collections", None))
        kept[_HOLDS_AUDITS] = True
    return members


def _change_audited(members: MemberStates, change: Callable[[Any], object]) -> None:
    states = members.by_did()
    audited = [state for state in states.values() if "audit" in state]
    for state in audited:
        change(state)
    if audited:
        members.replace(states)
