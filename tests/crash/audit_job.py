"""The job that audits everybody, in a process of its own, which may end by SIGKILL at a chosen point."""

from __future__ import annotations

import os
import sys
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from pipelines import audits, bluesky
from pipelines.sources.feed_audits import Audits
from pipelines.warehouse import BuildOutcome
from tests.conftest import Lake
from tests.job import run_process
from tests.sources.audits import known_records

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.job import AtCall, AtChange

ROWS_PER_LOAD = 5


def run_audit(project: Path, settings: Mapping[str, str], death: AtCall | AtChange | None = None) -> int:
    """Run `bluesky.py --audit` with a build that makes nothing but what the lake knows.

    Returns:
        Its exit code; -9 when it was killed.
    """
    return run_process(_main, project, dict(settings), death)


def _main(project: Path, settings: Mapping[str, str], death: AtCall | AtChange | None) -> None:
    os.environ.update(settings)
    with (project / "output.txt").open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)

    def build(is_sample: bool) -> BuildOutcome:
        known_records(Lake(project))
        return BuildOutcome("bluesky", not is_sample, Counter(), 0.0)

    patch = pytest.MonkeyPatch()
    patch.setattr(bluesky, "build_questions", build)
    patch.setattr(bluesky, "build_warehouse", build)
    patch.setattr(audits, "Audits", partial(Audits, rows_per_load=ROWS_PER_LOAD))
    if death:
        death.arm()
    sys.exit(bluesky.main(["--audit", "--no-report"]))
