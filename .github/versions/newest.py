"""Print what pyproject.toml asks for, the tests' tools too, without the upper bounds: what there will be next year.

python .github/versions/newest.py > newest.txt
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

PROJECT: Final = Path(__file__).parents[2] / "pyproject.toml"

_UPPER_BOUND: Final = re.compile(r",?\s*<=?\s*[^,;\s]+")


def requirements() -> Iterator[str]:
    """Give each dependency with its lower bound alone."""
    project = tomllib.loads(PROJECT.read_text(encoding="utf-8"))
    for requirement in (*project["project"]["dependencies"], *project["dependency-groups"]["dev"]):
        yield _UPPER_BOUND.sub("", requirement)


if __name__ == "__main__":
    print("\n".join(requirements()))
