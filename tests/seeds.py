"""Seeds for laws that are tried at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet

RARE: Final = (pytest.mark.slow, pytest.mark.rare)


def seeds(count: int, *, by_default: int, on_each_change: int | None = None) -> list[ParameterSet]:
    """Give so many seeds, of which a few are tried by default, and all or so many by CI on each change.

    What is left CI tries once a week.
    """
    often = count if on_each_change is None else on_each_change
    return [
        pytest.param(seed, marks=() if seed < by_default else pytest.mark.slow if seed < often else RARE)
        for seed in range(count)
    ]
