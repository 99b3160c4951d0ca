"""Whose feed a night asks for: everybody's, or that of those who may have news and of those whose turn it is."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipelines.sources.feed_walk import MemberState, WalkRules

ASK_ALL_UP_TO: Final = 500
"""Members whose feeds are all asked for each night, unless the settings say another number."""

LONGEST_REST: Final = timedelta(days=7)
"""However long somebody has been silent, their feed is asked for so often."""

MOST_NIGHTS: Final = 366
"""Over how many nights a pull may be spread."""

_REST_BEGINS: Final = timedelta(days=7)
_SHARE_OF_SILENCE: Final = 4
_NIGHT: Final = timedelta(days=1)
_HALF_A_DAY: Final = timedelta(days=0.5)
"""Nights begin early or late. A turn that comes within half a day has come, so that no rest gets a night longer."""

_SOME_WEEK: Final = datetime(1970, 1, 1, tzinfo=UTC)


def silence(state: MemberState) -> timedelta | None:
    """Tell how long a member had been silent when their feed was last read; None if it was empty."""
    cursor = state["cursor"]
    return None if cursor is None else datetime.fromisoformat(state["pulled_at"]) - datetime.fromisoformat(cursor)


def longest_rest(state: MemberState) -> timedelta:
    """Tell for how long a feed in which nothing is new may rest: a quarter of the silence, a week at most."""
    silent = silence(state)
    return LONGEST_REST if silent is None else min(silent / _SHARE_OF_SILENCE, LONGEST_REST)


def weekly_turn_came(did: str, since: datetime, now: datetime) -> bool:
    """Tell whether a member's time of the week was in between, by a night that begins early or late.

    It follows from the DID alone. So members who were asked in one night are not all asked again in the same one.

    Args:
        did: Who.
        since: When they were last asked; this turn does not count again.
        now: The time.
    """
    turn = _SOME_WEEK + zlib.crc32(did.encode()) / 2**32 * LONGEST_REST
    return (since + _HALF_A_DAY - turn) // LONGEST_REST < (now + _HALF_A_DAY - turn) // LONGEST_REST


def longest_wait(state: MemberState, spread: int) -> timedelta:
    """Tell how long a member may wait to be asked.

    Args:
        state: What is remembered of the member.
        spread: Over how many nights the members are spread.
    """
    return longest_rest(state) if spread == 1 else max(LONGEST_REST, spread * _NIGHT)


@dataclass(frozen=True)
class Known:
    """What is known of the members before their feeds are asked for.

    Attributes:
        states: What is remembered of them, by DID.
        tried: When the feeds were last asked for, ISO 8601, of which the last walk was not completed.
        posts_counts: How many posts the service counts of them now; None of whom it shows no profile.
        now: The time.
        member_count: How many members are followed.
    """

    states: Mapping[str, MemberState]
    tried: Mapping[str, str]
    posts_counts: Mapping[str, int | None]
    now: datetime
    member_count: int

    def asked_at(self, did: str) -> datetime | None:
        """Tell when a feed was last asked for; None if it never was."""
        read_at = self.read_at(did)
        if did not in self.tried:
            return read_at
        tried_at = datetime.fromisoformat(self.tried[did])
        return tried_at if read_at is None else max(read_at, tried_at)

    def read_at(self, did: str) -> datetime | None:
        """Tell when a feed was last read to where walks go; None if it never was."""
        return datetime.fromisoformat(self.states[did]["pulled_at"]) if did in self.states else None

    def has_news(self, did: str) -> bool:
        """Tell whether there is more to a feed than was read, as far as one can tell without reading it.

        The service counts another number of posts than then, or shows no profile.
        """
        state, posts_count = self.states.get(did), self.posts_counts.get(did)
        return state is None or posts_count is None or state.get("posts_count") != posts_count


@dataclass(frozen=True)
class Turns:
    """The rules by which a night chooses the feeds that it asks for.

    Up to `ask_all_up_to` members, all of them. Of more, those are left out who rest. A member rests who had been silent
    for longer than a week and than `refresh` when their feed was last read, so that nothing in it is observed anew; as
    long as the service, in the profile, counts as many posts as it did then; for a quarter of that silence, and never
    longer than a week. Those whose rest would be a week are asked at a time of the week that follows from their DID, so
    that each night asks some of them. Nobody rests whose walk has to read to the end, or whom the service shows no
    profile of.

    Where the work is spread over nights, a night takes one part of the members: who was never asked, then who has news,
    then the others, and of each who waits longest. Whoever's feed has not been read for a week, or for as many nights
    if they are more, is asked in any case, each night until it can be read, and so is whom the service shows no profile
    of.

    Attributes:
        walks: How far the walks go.
        ask_all_up_to: Up to so many members, nobody rests.
        spread: Over how many nights the members are spread.
    """

    walks: WalkRules
    ask_all_up_to: int = ASK_ALL_UP_TO
    spread: int = 1

    def __post_init__(self) -> None:
        if self.ask_all_up_to < 0:
            raise ValueError("ask_all_up_to takes a number from 0")
        if not 1 <= self.spread <= MOST_NIGHTS:
            raise ValueError(f"spread takes a number of nights from 1 to {MOST_NIGHTS}")

    def choose(self, dids: Sequence[str], known: Known) -> list[str]:
        """Choose whose feeds are asked for.

        Args:
            dids: Members.
            known: What is known of them.

        Returns:
            Members in the order in which they are asked. If there are any, it is one at least: a night's time, from
            which reports count, is that of its walks.
        """
        due = [did for did in dids if not self._rests(did, known)]
        if self.spread > 1 and not self.walks.is_full:
            due = self._part(due, len(dids), known)
        if due or not dids:
            return due
        return [min(dids, key=lambda did: known.asked_at(did) or known.now)]

    def _rests(self, did: str, known: Known) -> bool:
        if known.member_count <= self.ask_all_up_to or known.has_news(did):
            return False
        state = known.states[did]
        # Who was last asked in the future was asked by a wrong clock.
        pulled_at, rest = datetime.fromisoformat(state["pulled_at"]), longest_rest(state)
        is_rested = not timedelta(0) <= known.now - pulled_at < rest - _HALF_A_DAY
        if rest == LONGEST_REST:
            is_rested = is_rested or weekly_turn_came(did, pulled_at, known.now)
        return self._is_silent(state) and not is_rested and not self.walks.goes_to_end(state, known.now)

    def _is_silent(self, state: MemberState) -> bool:
        silent = silence(state)
        return silent is None or silent > max(_REST_BEGINS, self.walks.refresh)

    def _part(self, due: Sequence[str], count: int, known: Known) -> list[str]:
        """Take one night's part: first whose time is up, then who was never asked, then who has news.

        Whom the service shows no profile of may have gone, and is asked at once: nobody is to be published for longer.
        Of a feed that could not be read, the time is up when it was last read, not when it was last asked for.
        """
        longest = max(LONGEST_REST, self.spread * _NIGHT) - _HALF_A_DAY
        at_once: list[str] = []
        others: list[tuple[int, datetime, str]] = []
        for did in due:
            at, read_at = known.asked_at(did), known.read_at(did)
            is_time_up = at is not None and (read_at is None or not timedelta(0) <= known.now - read_at < longest)
            if known.posts_counts.get(did) is None or is_time_up:
                at_once.append(did)
            elif at is None:
                others.append((0, known.now, did))
            else:
                others.append((1 if known.has_news(did) else 2, at, did))
        others.sort(key=lambda other: other[:2])
        # Whose time is up may be as many as a night takes. The others have their part of it all the same, or a member
        # who joins would never be asked.
        counted = sum(did not in known.tried for did in at_once)  # What is tried again takes nobody's place.
        size = max(math.ceil(count / self.spread) - counted, math.ceil(len(others) / self.spread))
        return at_once + [did for _, _, did in others[:size]]

    def nights_between(self, state: MemberState | None, member_count: int) -> int:
        """Estimate how many nights a feed waits in which nothing is new."""
        rest = _NIGHT
        if state is not None and member_count > self.ask_all_up_to and self._is_silent(state):
            rest = longest_rest(state)
        return max(self.spread, round(rest / _NIGHT))
