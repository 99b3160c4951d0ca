"""How a command ends, whatever becomes of its work: with an exit code, and in one line where it cannot go on."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, NoReturn

from dlt.common.exceptions import SignalReceivedException

from pipelines import terminal
from pipelines.explain import explain
from pipelines.interruption import INTERRUPTED, on_signal
from pipelines.lake.loads import signal_behind
from pipelines.lake.unknown_settings import unknown_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.terminal import Terminal


def run_command(
    work: Callable[[Terminal], int], *, explain_error: Callable[[BaseException], str | None] = explain
) -> int:
    """Say what is set and read by nobody, do the work of a command, and return its exit code.

    A signal, wherever it arrives, is one line and 128 and its number, as in a shell: 130 for Ctrl-C, 143 for SIGTERM.
    An error that a user can do something about is one line and 1; any other is a bug, and shown with its stack trace.

    Args:
        work: What to do, given where to say what is done.
        explain_error: Says in one line what an error means; None if it is no user's.
    """
    with terminal.opened() as console:
        try:
            with on_signal(_raise):
                for line in unknown_settings():
                    terminal.complain(line)
                return work(console)
        except (Exception, KeyboardInterrupt) as error:
            number = signal_behind(error)
            if number:
                terminal.complain(INTERRUPTED)
                return 128 + number
            reason = explain_error(error)
            if reason is None:
                traceback.print_exception(error)
            else:
                terminal.complain(reason)
            return 1


def _raise(number: int) -> NoReturn:
    raise SignalReceivedException(number)
