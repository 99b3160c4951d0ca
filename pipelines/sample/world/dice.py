"""Chance that is the same everywhere.

Only `random.Random.random()` is promised to give the same numbers in every Python version, so everything is made of it.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

T = TypeVar("T")


class Dice:
    """A stream of chance that is named by its keys: the same keys, the same throws."""

    def __init__(self, *keys: object) -> None:
        self.random = random.Random("/".join(map(str, keys))).random

    def chance(self, probability: float) -> bool:
        """Say yes with this probability."""
        return self.random() < probability

    def between(self, low: int, high: int) -> int:
        """Throw an integer from low to high, both included."""
        return low + int(self.random() * (high - low + 1))

    def pick(self, choices: Sequence[T]) -> T:
        """Pick one, each as likely as the other."""
        return choices[int(self.random() * len(choices))]

    def weighted(self, choices: Sequence[T], cumulative: Sequence[float]) -> T:
        """Pick one by the running sums of the weights."""
        return choices[min(bisect_right(cumulative, self.random() * cumulative[-1]), len(choices) - 1)]

    def poisson(self, mean: float) -> int:
        """Throw how often something happens that happens `mean` times on average."""
        limit, product, count = math.exp(-mean), self.random(), 0
        while product > limit:
            product *= self.random()
            count += 1
        return count

    def bell(self) -> float:
        """Throw a number around 0 with a standard deviation of 1, roughly normal and never beyond 3.5."""
        return (self.random() + self.random() + self.random() + self.random() - 2.0) * math.sqrt(3.0)
