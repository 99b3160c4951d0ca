"""The nightly job in a process of its own, which may get a signal, mostly SIGKILL, at a chosen point."""

from __future__ import annotations

import multiprocessing
import os
import pkgutil
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import chardet  # noqa: F401  (dlt imports these while a run is under way; here they are imported once for all runs)
import pyarrow.compute
import pyarrow.parquet  # noqa: F401
import requests  # noqa: F401

from pipelines import bluesky
from pipelines.sources.pull_run import LoadRoom, PullRun

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Processes are forked from one that has imported dlt already, which takes longer than the small runs of these tests.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload([__name__])

_WRITING = os.O_WRONLY | os.O_RDWR
_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "shutil.copyfile"}


@dataclass(frozen=True)
class AtCall:
    """The n-th call of a function.

    Attributes:
        owner: Its module or class, as `package.module` or `package.module:Class`.
        when: `half`: it writes the file that its second argument names, and half of that is there.
        number: The signal that comes there.
    """

    owner: str
    function: str
    when: Literal["before", "half", "after"]
    call: int = 1
    number: int = signal.SIGKILL

    def arm(self) -> None:
        owner = pkgutil.resolve_name(self.owner)
        function = getattr(owner, self.function)
        counting = threading.Lock()
        calls = 0

        def dying(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            with counting:
                calls += 1
                is_last = calls == self.call
            if is_last and self.when == "before":
                _get_signal(self.number)
            result = function(*args, **kwargs)
            if is_last and self.when == "half":
                os.truncate(args[1], Path(args[1]).stat().st_size // 2)
            if is_last and self.when != "before":
                _get_signal(self.number)
            return result

        setattr(owner, self.function, dying)


@dataclass(frozen=True)
class AtChange:
    """Just before the n-th change to the file system: every state of the disk that a crash can leave lies between two.

    Python names each of them to an audit hook (https://docs.python.org/3/library/audit_events.html).
    """

    change: int
    number: int = signal.SIGKILL

    def arm(self) -> None:
        changes = 0

        def count(event: str, args: tuple[Any, ...]) -> None:
            nonlocal changes
            if event in _CHANGES or (event == "open" and isinstance(args[2], int) and args[2] & _WRITING):
                changes += 1
                if changes == self.change:
                    _get_signal(self.number)

        sys.addaudithook(count)


class _CountedRoom(LoadRoom):
    """Takes so many members, so that how walks overtake each other does not decide how many loads there are."""

    def admit(self, did: str) -> bool:
        is_admitted = super().admit(did)
        if is_admitted:
            super().fill(1)
        return is_admitted

    def fill(self, item_count: int) -> None:
        """Count no items."""


def _get_signal(number: int) -> None:
    os.kill(os.getpid(), number)


def run_job(
    environment: Mapping[str, str],
    output: Path,
    *,
    arguments: tuple[str, ...] = ("--no-transform", "--no-report"),
    death: AtCall | AtChange | None = None,
    members_per_load: int | None = None,
) -> int:
    """Run the job.

    Args:
        environment: dlt's settings, added to the environment.
        output: A file for what it prints.
        arguments: Its command line.
        death: Where it is killed.
        members_per_load: After how many members a load is closed and the next one begun; as usual, if not given.

    Returns:
        Its exit code; -9 when it was killed.
    """
    return run_process(_main, dict(environment), output, death, arguments, members_per_load)


def run_process(target: Callable[..., None], *arguments: object) -> int:
    """Call a function in a process of its own, and give its exit code; -9 when it was killed."""
    process = _processes.Process(target=_call, args=(dict(os.environ), target, arguments))
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


def _call(environment: Mapping[str, str], target: Callable[..., None], arguments: tuple[object, ...]) -> None:
    # Forked processes have the environment of the moment when the first one was started: another test's settings.
    os.environ.clear()
    os.environ.update(environment)
    target(*arguments)


def _main(
    environment: Mapping[str, str],
    output: Path,
    death: AtCall | AtChange | None,
    arguments: tuple[str, ...],
    members_per_load: int | None,
) -> None:
    os.environ.update(environment)
    # As in a terminal: what a shell runs in the background inherits that SIGINT is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with output.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if death:
        death.arm()
    load_room = _CountedRoom(members_per_load) if members_per_load else LoadRoom()
    sys.exit(bluesky.main(list(arguments), run=PullRun(load_room=load_room)))
