"""Says everything that a job says with somebody else's words in it, in a process whose terminal is recorded."""

from __future__ import annotations

import os
import pty
import sys
import threading
import time
from collections import Counter
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pipelines import bluesky
from pipelines.bluesky import Night, print_summary
from pipelines.command import run_command
from pipelines.lake.bucket import LakeError
from pipelines.network.errors import ServiceUnreachable
from pipelines.panel import panel, show_live
from pipelines.progress import show_progress
from pipelines.sources.micro_batches import LiveRun
from pipelines.sources.pull_run import PullRun
from pipelines.sources.roster import Roster
from tests.job import run_process

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.terminal import Terminal


def recorded(texts: Sequence[str]) -> bytes:
    """Give what a terminal is sent while a job says all that it says, with these texts in it."""
    ours, theirs = pty.openpty()
    parts: list[bytes] = []

    def read() -> None:
        try:
            while part := os.read(ours, 65_536):
                parts.append(part)
        except OSError:  # So ends a terminal whose last process has gone.
            return

    reader = threading.Thread(target=read)
    reader.start()
    exit_code = run_process(_speak_at, os.ttyname(theirs), list(texts))
    os.close(theirs)
    reader.join()
    os.close(ours)
    assert exit_code == 0, b"".join(parts)
    return b"".join(parts)


def _speak_at(terminal: str, texts: list[str]) -> None:
    file = os.open(terminal, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(file, number)
    os.environ.update({"COLUMNS": "120", "LINES": "60", "TERM": "xterm-256color"})
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1, encoding="utf-8") for number in (1, 2))
    assert run_command(lambda console: _say_all(console, texts)) == 0
    for text in texts:
        for error in (
            LakeError(text),
            ServiceUnreachable(text, text, text, text),
            PermissionError(13, "denied", text),
            KeyError(text),
        ):
            assert run_command(partial(_raise, error)) == 1
    assert bluesky.main(["--dry-run", "--actor", "".join(texts[:30])]) == 1


def _raise(error: Exception, _: Terminal) -> int:
    raise error


def _say_all(console: Terminal, texts: list[str]) -> int:
    run = PullRun(roster=Roster(problems=texts), notes=[f"{text}: failed: {text}" for text in texts])
    run.outcomes.update(texts)
    with show_progress(run, console):
        time.sleep(0.3)
    print_summary(Night({}, run, label=texts[0], seconds=1.0, events=texts[1]), texts[2], console)
    live = LiveRun(trouble=texts[0], position={text: text for text in texts[:3]}, gaps=texts[:5])
    feed = SimpleNamespace(name=texts[0], service=texts[1], condition=texts[2])
    batches: Any = SimpleNamespace(run=live, feed=feed)
    live.totals.hashtags.update(texts[:8])
    with show_live(batches, console):
        time.sleep(0.6)
        print(*texts, file=sys.stderr)
    print(*texts)
    for start in range(0, len(texts), 8):
        some = texts[start : start + 8]
        live.totals.hashtags, live.totals.posts = Counter(some), Counter(some)
        live.trouble = feed.name = feed.service = feed.condition = some[0]
        console.print(panel(batches))
    return 0
