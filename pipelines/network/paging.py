"""Pages of XRPC: their cursor, and how many empty ones are read."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

EMPTY_PAGES_IN_A_ROW: Final = 10
"""After so many empty pages, each with another cursor, a client stops asking."""


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
        The cursor, or None; and whether the page has a cursor of another type than text.
    """
    if not bytes(raw):
        return None, False
    try:
        return msgspec.json.decode(raw, type=str | None) or None, False
    except ValueError:
        return None, True
