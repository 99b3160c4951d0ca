"""How a job shows what it is doing: a bar in a terminal, plain lines where nobody watches."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from pipelines.sources.pull_run import PullRun
    from pipelines.terminal import Terminal

SECONDS_BETWEEN_LINES: Final = 15.0


@contextmanager
def shown(show: Callable[[threading.Event], None]) -> Iterator[None]:
    """Let a thread show something while the block runs.

    Args:
        show: Shows it, until the event is set.
    """
    is_over = threading.Event()
    watcher = threading.Thread(target=show, args=(is_over,), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def show_progress(run: PullRun, console: Terminal) -> AbstractContextManager[None]:
    """Show how many members of a run were walked, while the block runs.

    Args:
        run: What to watch.
        console: Where to show it: a bar if it is a terminal, else a line every `SECONDS_BETWEEN_LINES`.
    """
    return shown(partial(_show_bar if console.is_terminal else _print_lines, run, console))


def _show_bar(run: PullRun, console: Terminal, is_over: threading.Event) -> None:
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("members", total=None)
        while not is_over.wait(0.1):
            progress.update(
                task,
                description=f"members  {run.item_count:,} items, {run.stats.requests:,} requests{_waiting(run)}",
                total=len(run.asked) if run.roster else None,
                completed=run.outcomes.total(),
            )


def _print_lines(run: PullRun, console: Terminal, is_over: threading.Event) -> None:
    while not is_over.wait(SECONDS_BETWEEN_LINES):
        members = f"{run.outcomes.total():,} of {len(run.asked):,} members" if run.roster else "reading the packs"
        console.say(f"{members}, {run.item_count:,} items, {run.stats.requests:,} requests{_waiting(run)}")


def _waiting(run: PullRun) -> str:
    return "; asking list creators' servers who is hidden" if run.is_waiting_for_hidden else ""
