"""Pages of XRPC: their cursor, and how many empty ones are read."""

from __future__ import annotations

from typing import Annotated, Final, Protocol

import msgspec

EMPTY_PAGES_IN_A_ROW: Final = 10
"""After so many empty pages, each with another cursor, a client stops asking."""


MOST_ITEMS: Final = 1_000
"""Items that a page may have. At most a hundred are asked for; ten times that is a service of other habits, and more of
them one that does not do what it is asked."""

LONGEST_CURSOR: Final = 4_096
"""Bytes of a cursor. It is sent back in a URL, and servers take no longer ones."""

RawItems = Annotated[list[msgspec.Raw], msgspec.Meta(max_length=MOST_ITEMS)]
"""The items of a page, each as the bytes that the service sent."""


class Page(Protocol):
    """What pages of XRPC have in common.

    Attributes:
        cursor: Where the next page begins; None on the last one.
        is_cursor_broken: Whether the next page cannot be asked for: see `read_cursor`.
    """

    @property
    def cursor(self) -> str | None: ...  # noqa: D102

    @property
    def is_cursor_broken(self) -> bool: ...  # noqa: D102


def read_cursor(raw: msgspec.Raw) -> tuple[str | None, bool]:
    """Read a cursor apart from its page, so that the page's items can be read beside a bad one.

    Returns:
        The cursor, or None; and whether the page has a cursor of another type than text, or none that can be sent.
    """
    text = bytes(raw)
    if not text:
        return None, False
    try:
        return msgspec.json.decode(text, type=str | None) or None, len(text) > LONGEST_CURSOR
    except (ValueError, RecursionError):
        return None, True
