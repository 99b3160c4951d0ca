"""The job that only checks, in a process of its own, which may end by SIGKILL at a chosen point."""

from __future__ import annotations

import os
import sys
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from pipelines import bluesky, checks
from pipelines.warehouse import BuildOutcome
from tests.job import run_process
from tests.sources.open_questions import doubt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.job import AtCall, AtChange

QUESTIONS_PER_LOAD = 20


def run_check(
    project: Path, uris: Sequence[str], settings: Mapping[str, str], death: AtCall | AtChange | None = None
) -> int:
    """Run `bluesky.py --check` with a build that makes nothing but questions about these records.

    Returns:
        Its exit code; -9 when it was killed.
    """
    return run_process(_main, project, list(uris), dict(settings), death)


def _main(project: Path, uris: Sequence[str], settings: Mapping[str, str], death: AtCall | AtChange | None) -> None:
    os.environ.update(settings)
    with (project / "output.txt").open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)

    def build(is_sample: bool) -> BuildOutcome:
        doubt(project, uris)
        return BuildOutcome("bluesky", not is_sample, Counter(), 0.0)

    patch = pytest.MonkeyPatch()
    patch.setattr(bluesky, "build_questions", build)
    patch.setattr(bluesky, "build_warehouse", build)
    patch.setattr(checks, "QUESTIONS_PER_LOAD", QUESTIONS_PER_LOAD)
    if death:
        death.arm()
    sys.exit(bluesky.main(["--check", "--no-report"]))
