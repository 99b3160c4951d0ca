"""Reads from what a service has served which handles people had, and from nothing that people have written.

Anybody may write a record that says of somebody else which handle they have. Whoever is looked for by that would be
somebody else, and what is taken out with them, other people's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from pipelines.network.identifiers import is_did, is_handle

if TYPE_CHECKING:
    from collections.abc import Iterator

_PEOPLE: Final = frozenset({"author", "by", "creator", "grandparentAuthor", "subject"})
"""Where a view has a profile."""

_VIEWS: Final = frozenset(
    {"embed", "embeds", "feeds", "joinedViaStarterPack", "list", "listItemsSample", "parent", "post", "reason"}
    | {"record", "reply", "root", "starterPack"}
)
"""Where a view has others."""


def served_names(raw: str) -> Iterator[tuple[str, str]]:
    """Give the DIDs and handles, in small letters, of the profiles in a view of `app.bsky`."""
    try:
        view = msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        return
    # A record, as a repository has it, is its writer's word.
    if isinstance(view, dict) and "value" not in view:
        yield from _name_in(view)
        yield from _names_in(view)


def _names_in(view: Any) -> Iterator[tuple[str, str]]:
    # A list of what is left to read: views may be nested deeper than Python calls may.
    unread = [view]
    while unread:
        part = unread.pop()
        if isinstance(part, list):
            unread += part
        if not isinstance(part, dict):
            continue
        for name, inner in part.items():
            if name in _PEOPLE:
                yield from _name_in(inner)
                unread.append(inner)  # The pack that they joined by has a creator.
            # What has a URI is a view of a record, which is beside it; an embed's record is another view.
            elif name in _VIEWS and not (name == "record" and "uri" in part):
                unread.append(inner)


def _name_in(profile: Any) -> Iterator[tuple[str, str]]:
    if isinstance(profile, dict):
        did, handle = profile.get("did"), profile.get("handle")
        if isinstance(did, str) and isinstance(handle, str) and is_did(did) and is_handle(handle.lower()):
            yield did, handle.lower()
