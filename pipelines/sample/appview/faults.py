"""What can go wrong on the way from a service to a client, on demand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from pipelines.sample.world.dice import Dice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_LISTS: Final = {
    "app.bsky.feed.getAuthorFeed": "feed",
    "app.bsky.graph.getList": "items",
    "app.bsky.actor.getProfiles": "profiles",
    "app.bsky.graph.getStarterPacks": "starterPacks",
    "app.bsky.feed.getPosts": "posts",
    "app.bsky.feed.getLikes": "likes",
    "app.bsky.feed.getRepostedBy": "repostedBy",
    "app.bsky.feed.getQuotes": "posts",
    "com.atproto.repo.listRecords": "records",
}
_FIRST_CURSOR: Final = "99999999999999__z"  # before everything


class Fault(StrEnum):
    """A thing that can go wrong."""

    RATE_LIMITED = "429"
    INTERNAL_ERROR = "500, as XRPC says it"
    NOT_IMPLEMENTED = "501, as XRPC says of a method that the server does not have"
    BAD_GATEWAY = "502, as a proxy says it, in HTML"
    UNAVAILABLE = "503, in HTML"
    FORBIDDEN = "403, as a firewall says it, in HTML"
    RESET = "the connection is reset before anything is sent"
    RESET_IN_BODY = "the connection is reset in the middle of the body"
    CLOSED_IN_BODY = "the connection is closed in the middle of the body: less than Content-Length says"
    CUT_BODY = "half of the body, and a Content-Length that says so"
    INVALID_JSON = "a body that is no JSON"
    ARRAY = "a list where an object should be"
    LIST_MISSING = "no list in the page"
    LIST_IS_TEXT = "a text where the page's list should be"
    SLOW = "an answer that takes long"
    CURSOR_REPEATS = "a cursor that leads to itself"
    EMPTY_PAGE = "an empty page with a cursor; nothing is lost by going on"
    ENDS_EARLY = "no cursor, although there is more"


@dataclass(slots=True)
class _Rule:
    faults: tuple[Fault, ...]
    nsid: str | None
    actor: str | None
    skip: int
    times: int | None
    retry_after: float | None
    seconds: float
    share: float = 1.0
    dice: Dice | None = None

    def matches(self, nsid: str, params: dict[str, list[str]]) -> bool:
        if self.nsid not in (None, nsid):
            return False
        return self.actor is None or any(
            self.actor in params.get(name, ()) for name in ("actor", "actors", "repo", "did", "handle")
        )


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that befalls one request."""

    fault: Fault
    retry_after: float | None
    seconds: float


class Faults:
    """What is to go wrong. May be changed while the server runs."""

    def __init__(self) -> None:
        self._rules: list[_Rule] = []
        self._mutations: list[tuple[str | None, Callable[[bytes], bytes]]] = []

    def add(
        self,
        fault: Fault,
        *,
        nsid: str | None = None,
        actor: str | None = None,
        skip: int = 0,
        times: int | None = 1,
        retry_after: float | None = None,
        seconds: float = 2.0,
    ) -> None:
        """Let requests fail. The first rule that matches a request decides.

        Args:
            fault: What goes wrong.
            nsid: Only with this method.
            actor: Only when this DID, or handle, is asked for.
            skip: How many matching requests go well first.
            times: How many then fail; None for all.
            retry_after: Seconds that a 429 asks to wait; None to say nothing.
            seconds: How long a slow answer takes.
        """
        self._rules.append(_Rule((fault,), nsid, actor, skip, times, retry_after, seconds))

    def at_random(
        self, share: float, faults: Sequence[Fault], *, seed: int, nsid: str | None = None, seconds: float = 0.2
    ) -> None:
        """Let a share of the requests fail, each in one of these ways, in an order that the seed decides."""
        dice = Dice(seed, "faults")
        self._rules.append(_Rule(tuple(faults), nsid, None, 0, None, None, seconds, share, dice))

    def mutate(self, function: Callable[[bytes], bytes], *, nsid: str | None = None) -> None:
        """Pass every good answer's body through a function."""
        self._mutations.append((nsid, function))

    def clear(self) -> None:
        """Let everything go well again."""
        self._rules.clear()
        self._mutations.clear()

    def strike(self, nsid: str, params: dict[str, list[str]]) -> Strike | None:
        """Say what befalls a request, and count it."""
        for rule in list(self._rules):
            if rule.times == 0 or not rule.matches(nsid, params):
                continue
            if rule.skip:
                rule.skip -= 1
                continue
            fault = rule.faults[0]
            if rule.dice:
                if not rule.dice.chance(rule.share):
                    continue
                fault = rule.dice.pick(rule.faults)
            if rule.times is not None:
                rule.times -= 1
            return Strike(fault, rule.retry_after, rule.seconds)
        return None

    def mutated(self, nsid: str, body: bytes) -> bytes:
        """Pass a body through the functions that were given."""
        for only, function in list(self._mutations):
            if only in (None, nsid):
                body = function(body)
        return body


def spoil(fault: Fault, nsid: str, params: dict[str, list[str]], body: bytes) -> bytes:
    """Change a good answer's body in the way of a fault; those that are not about the body leave it alone."""
    match fault:
        case Fault.CUT_BODY:
            return body[: len(body) // 2]
        case Fault.INVALID_JSON:
            return b'{"feed": [{"post": undefined}], ' + body[:40]
        case Fault.ARRAY:
            return b"[" + body + b"]"
        case Fault.LIST_MISSING | Fault.LIST_IS_TEXT | Fault.CURSOR_REPEATS | Fault.EMPTY_PAGE | Fault.ENDS_EARLY if (
            nsid in _LISTS
        ):
            return _spoil_page(fault, _LISTS[nsid], params.get("cursor", [""])[0], body)
    return body


def _spoil_page(fault: Fault, items: str, cursor: str, body: bytes) -> bytes:
    page = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    match fault:
        case Fault.LIST_MISSING:
            del page[items]
        case Fault.LIST_IS_TEXT:
            page[items] = msgspec.Raw(b'"none"')
        case Fault.ENDS_EARLY:
            page.pop("cursor", None)
        case Fault.CURSOR_REPEATS:
            if cursor or "cursor" not in page:
                page["cursor"] = msgspec.Raw(msgspec.json.encode(cursor or "0__end"))
        case Fault.EMPTY_PAGE:
            # The same place in the feed, spelt another way.
            page[items] = msgspec.Raw(b"[]")
            same_place = re.sub(r"\w$", "", cursor) if cursor else _FIRST_CURSOR
            page["cursor"] = msgspec.Raw(msgspec.json.encode(same_place))
    return msgspec.json.encode(page)
