"""Ctrl-C and SIGTERM, from a command's first import to its last thread: one line, and the exit code of a shell.

A command imports this before all else, so it imports nothing of ours, and nothing that takes time.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INTERRUPTED: Final = "Interrupted. Nothing is lost: the next run goes on from the last complete load."

SAME_SECONDS: Final = 1.0
"""A signal that comes so soon after the first is the same: `uv run` and `make` hand on what all have got already."""

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_SHOW_CURSOR: Final = b"\x1b[?25h"


def end_at_once(number: int, _: object = None) -> NoReturn:
    """End the process in one line. Whatever is under way is broken off as by `kill -9`, which loses nothing."""
    with suppress(OSError):
        if os.isatty(1):
            os.write(1, _SHOW_CURSOR)  # A progress bar hides it.
        os.write(2, f"{INTERRUPTED}\n".encode())
    os._exit(128 + number)


def end_at_once_from_now() -> None:
    """Let a signal end the process in one line, until a command says what else it does, and again after its end.

    While Python imports, and while it waits for threads at the end, it would print a stack trace.
    """
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end_at_once)


@contextmanager
def on_signal(handle: Callable[[int], None]) -> Iterator[None]:
    """Handle the first signal that comes while the block runs; a later one does not wait, and ends the process at once.

    Only the main thread may handle signals, and only it gets them. A signal that the process was started to ignore, as
    a shell starts what runs in the background, stays ignored.

    Args:
        handle: Called in the main thread with the signal's number, wherever that thread is. May raise.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first_at: float | None = None

    def receive(number: int, _: object) -> None:
        nonlocal first_at
        now = time.monotonic()
        if first_at is None:
            first_at = now
            handle(number)
        elif now - first_at >= SAME_SECONDS:
            end_at_once(number)

    before = {number: signal.getsignal(number) for number in _SIGNALS}
    heard = [number for number in _SIGNALS if before[number] is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, receive)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])
