"""Seeds for laws that are tried at random."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _pytest.mark.structures import ParameterSet


def seeds(count: int, *, by_default: int) -> list[ParameterSet]:
    """Give so many seeds, of which a few are tried by default; CI tries all of them."""
    return [pytest.param(seed, marks=pytest.mark.slow if seed >= by_default else ()) for seed in range(count)]
