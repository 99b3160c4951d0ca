"""Texts with their facets."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from pipelines.sample.world.truth import Facet

if TYPE_CHECKING:
    from collections.abc import Callable

_SLOT: Final = re.compile(r"\{(\w+)\}")


class Marked(NamedTuple):
    """A piece of text that has a feature."""

    text: str
    feature: str
    value: str | None


def compose(template: str, fill: Callable[[str], str | Marked]) -> tuple[str, tuple[Facet, ...] | None]:
    """Fill a template's slots and work out where the marked ones stand, in UTF-8 bytes.

    Args:
        template: Text with slots, `{name}`.
        fill: Gives what belongs into a slot, by its name.
    """
    pieces: list[str] = []
    facets: list[Facet] = []
    position = 0
    for index, part in enumerate(_parts(template)):
        piece = fill(part) if index % 2 else part
        if isinstance(piece, Marked):
            end = position + len(piece.text.encode())
            facets.append(Facet(piece.feature, piece.value, position, end))
            pieces.append(piece.text)
            position = end
        else:
            pieces.append(piece)
            position += len(piece.encode())
    return "".join(pieces), tuple(facets) or None


@cache
def _parts(template: str) -> list[str]:
    return _SLOT.split(template)
