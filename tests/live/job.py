"""The live job in a process of its own that ends by SIGKILL at any moment, as if the power had gone."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from typing import TYPE_CHECKING

import chardet  # noqa: F401  (dlt imports these while a run is under way; here they are imported once for all runs)
import pyarrow.compute
import pyarrow.parquet  # noqa: F401
import requests  # noqa: F401

from pipelines import live
from pipelines.events.stream import StreamLimits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from multiprocessing.process import BaseProcess
    from pathlib import Path

# Processes are forked from one that has imported dlt already, which takes longer than these runs.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])


def start_job(arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> BaseProcess:
    """Start `python pipelines/live.py` in a process of its own.

    Args:
        arguments: The command line.
        environment: Settings.
        log: Takes what it prints.
    """
    # A daemon: where a test fails, it ends with the tests, which would wait for it otherwise.
    process = _processes.Process(target=_run, args=(list(arguments), dict(environment), log), daemon=True)
    process.start()
    return process


def kill(process: BaseProcess, *, after: float = 0.0) -> None:
    """End a job by SIGKILL, `after` seconds from now."""
    time.sleep(after)
    process.kill()
    process.join()


def _run(arguments: list[str], environment: dict[str, str], log: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    with log.open("a") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
        # Servers on localhost are quick to say what they have.
        sys.exit(live.main(arguments, limits=StreamLimits(quiet_seconds=0.4)))
