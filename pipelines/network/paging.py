"""Reading pages to their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable, Iterator

EMPTY_PAGES_IN_A_ROW: Final = 10
"""A service that sends this many empty pages, each with another cursor, is not going to send items."""


class Page(Protocol):
    """What pages of XRPC have in common."""

    @property
    def cursor(self) -> str | None:
        """Where the next page begins; None on the last one."""


P = TypeVar("P", bound=Page)


def walk_pages(ask: Callable[[str | None], P], keys_of: Callable[[P], Collection[Hashable]]) -> Iterator[P]:
    """Ask for page after page.

    The end is where the cursor is absent or was there before, or where a page holds only what was seen. A page that is
    short or empty is not the end: services filter pages after cutting them
    (https://github.com/bluesky-social/atproto/issues/2616).

    Args:
        ask: Asks for the page that begins at a cursor.
        keys_of: What names the items of a page.
    """
    cursor: str | None = None
    cursors: set[str] = set()
    seen: set[Hashable] = set()
    empty_pages = 0
    while True:
        page = ask(cursor)
        keys = set(keys_of(page))
        if keys and keys <= seen:
            return
        yield page
        seen |= keys
        empty_pages = 0 if keys else empty_pages + 1
        cursor = page.cursor
        if cursor is None or cursor in cursors or empty_pages == EMPTY_PAGES_IN_A_ROW:
            return
        cursors.add(cursor)
