"""What the pages of XRPC have in common."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

EMPTY_PAGES_IN_A_ROW: Final = 10
"""A service that sends this many empty pages, each with another cursor, is not going to send items."""


class Page(Protocol):
    """What pages of XRPC have in common.

    Attributes:
        cursor: Where the next page begins; None on the last one.
        is_cursor_broken: Whether what follows cannot be asked for: see `read_cursor`.
    """

    @property
    def cursor(self) -> str | None: ...  # noqa: D102

    @property
    def is_cursor_broken(self) -> bool: ...  # noqa: D102


def read_cursor(raw: msgspec.Raw) -> tuple[str | None, bool]:
    """Read a cursor apart from its page, so that a bad one does not take the page's items with it.

    Returns:
        The cursor, None where there is none; and whether there is one that cannot be used, as it is no text.
    """
    if not bytes(raw):
        return None, False
    try:
        return msgspec.json.decode(raw, type=str | None) or None, False
    except ValueError:
        return None, True
