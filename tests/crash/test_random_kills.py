"""`kill -9` at moments that nobody chose, night after night: what is in the lake is never broken, and soon whole."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.crash.conftest import KILLED
from tests.job import AtChange
from tests.seeds import RARE

if TYPE_CHECKING:
    from tests.crash.conftest import Nights


@pytest.mark.parametrize(
    ("count", "seed"),
    [
        pytest.param(3, 0, marks=pytest.mark.slow),
        *(pytest.param(10, seed, marks=RARE) for seed in range(5)),
    ],
)
def test_kills_at_random_moments(nights: Nights, count: int, seed: int) -> None:
    chance = random.Random(seed)
    kills = 0
    while kills < count:
        nights.server.day = 1 + kills // 3
        code = nights.run(AtChange(chance.randint(1, 300)))
        assert code in (KILLED, 0)
        kills += code == KILLED
        nights.assert_whole()
        if chance.random() < 0.5:
            nights.lose_working_folder()
    assert nights.run() == 0
    nights.assert_whole()
    nights.assert_complete()
    seen = set().union(*(nights.feed_items(day) for day in range(1, nights.server.day + 1)))
    assert nights.feed_items(nights.server.day).keys() <= nights.items() <= seen
