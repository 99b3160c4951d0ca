"""How a live run shows itself: a panel that is drawn anew in a terminal, plain lines where nobody watches."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipelines.progress import SECONDS_BETWEEN_LINES, shown
from pipelines.terminal import styled

if TYPE_CHECKING:
    import threading
    from collections import Counter
    from contextlib import AbstractContextManager

    from rich.console import RenderableType

    from pipelines.sources.micro_batches import MicroBatches
    from pipelines.terminal import Terminal

_SHOWN: Final = 8
_WIDEST: Final = 40


def show_live(batches: MicroBatches, console: Terminal) -> AbstractContextManager[None]:
    """Show what a live run does while the block runs.

    Args:
        batches: What to watch.
        console: Where to show it: a panel if it is a terminal, else a line every `SECONDS_BETWEEN_LINES`.
    """
    return shown(partial(_draw if console.is_terminal else _print_lines, batches, console))


def _draw(batches: MicroBatches, console: Terminal, is_over: threading.Event) -> None:
    said = 0
    with Live(panel(batches), console=console, refresh_per_second=4, transient=True) as live:
        while not is_over.wait(0.25):
            said = _name_gaps(batches, console, said)
            live.update(panel(batches))
    _name_gaps(batches, console, said)


def _print_lines(batches: MicroBatches, console: Terminal, is_over: threading.Event) -> None:
    said, next_line = 0, time.monotonic() + SECONDS_BETWEEN_LINES
    while not is_over.wait(0.5):
        said = _name_gaps(batches, console, said)
        if time.monotonic() >= next_line:
            next_line += SECONDS_BETWEEN_LINES
            console.say(status_line(batches))
    _name_gaps(batches, console, said)


def _name_gaps(batches: MicroBatches, console: Terminal, said: int) -> int:
    """Print the gaps that were not yet said, and tell how many are now."""
    gaps = list(batches.run.gaps)
    for gap in gaps[said:]:
        console.say(gap, style="yellow")
    return len(gaps)


def status_line(batches: MicroBatches) -> str:
    """Say in one line how a live run goes."""
    run = batches.run
    facts = [
        f"{run.event_count:,} events",
        f"{run.events_per_second():,.0f} a second",
        f"{run.loaded_count:,} in the lake",
        f"lag {_lag(run.last_event_at)}",
        batches.feed.condition,
    ]
    return ", ".join(facts + ([f"the lake takes nothing: {run.trouble}"] if run.trouble else []))


def panel(batches: MicroBatches) -> RenderableType:
    """Draw a live run as it is now."""
    run, minute = batches.run, batches.run.last_minute()
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", justify="right")
    facts.add_column()
    facts.add_row("events", f"{run.event_count:,}   {run.events_per_second():,.1f} a second")
    facts.add_row("lag", f"{_lag(run.last_event_at)}")
    facts.add_row("in the lake", f"{run.loaded_count:,} in {run.batch_count:,} batches")
    if run.last_batch:
        count, seconds, at = run.last_batch
        facts.add_row("last batch", f"{count:,} events in {seconds:.1f} s, at {at:%H:%M:%S} UTC")
    facts.add_row("position", ", ".join(f"{name} {value}" for name, value in (run.position or {}).items()) or "-")
    facts.add_row("feed", batches.feed.condition)
    if run.unreadable_count:
        facts.add_row("unreadable", f"{run.unreadable_count:,}, kept as they came")
    if run.trouble:
        facts.add_row("lake", styled(f"takes nothing: {run.trouble}", "red"))
    counts = Table.grid(padding=(0, 4))
    counts.add_row(
        _ranking("posts by language", run.totals.posts, minute.posts),
        _ranking("hashtags", run.totals.hashtags, minute.hashtags),
    )
    return Panel(
        Group(facts, Text(), counts),
        title=styled(f"{batches.feed.name}  {batches.feed.service}", "none"),
        subtitle="Ctrl-C ends it and keeps everything",
    )


def _ranking(title: str, since_start: Counter[str], last_minute: Counter[str]) -> Table:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 1))
    table.add_column("", no_wrap=True, overflow="ellipsis", max_width=_WIDEST)
    table.add_column("since start", justify="right")
    table.add_column("last minute", justify="right")
    for name, count in since_start.copy().most_common(_SHOWN):
        table.add_row(name, f"{count:,}", f"{last_minute[name]:,}")
    return table


def _lag(last_event_at: datetime | None) -> str:
    if last_event_at is None:
        return "not known"
    lag = datetime.now(UTC) - last_event_at
    return (
        f"{lag.total_seconds():.1f} s"
        if lag < timedelta(minutes=2)
        else str(timedelta(seconds=int(lag.total_seconds())))
    )
