"""Work beside the run: its results come in order, its errors to whoever asks, and no end waits for it."""

from __future__ import annotations

import io
import subprocess
import sys
import threading
import time
from concurrent.futures import Future

import pytest

from pipelines import progress
from pipelines.sources.beside import beside, each_beside
from pipelines.sources.pull_run import PullRun
from pipelines.sources.roster import Roster
from pipelines.terminal import Terminal


@pytest.mark.parametrize("workers", [1, 3, 20])
def test_results_come_in_the_order_of_the_items_and_an_error_costs_no_other(workers: int) -> None:
    at_once, most = 0, 0
    lock = threading.Lock()

    def divide(number: int) -> float:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.01 / (number + 1))
        with lock:
            at_once -= 1
        return 12 / number

    futures = each_beside(divide, range(6), workers)
    with pytest.raises(ZeroDivisionError):
        futures[0].result()
    assert [future.result() for future in futures[1:]] == [12, 6, 4, 3, 2.4]
    assert most <= workers


def test_nothing_to_do_is_done() -> None:
    assert each_beside(abs, [], 8) == []
    assert beside(lambda: 5).result() == 5


def test_the_program_ends_while_a_stranger_is_waited_for() -> None:
    program = "import time; from pipelines.sources.beside import each_beside; each_beside(time.sleep, [60, 60, 60], 2)"
    begun = time.monotonic()
    subprocess.run([sys.executable, "-c", program], check=True, timeout=30)
    assert time.monotonic() - begun < 20


def test_whoever_watches_is_told_what_a_run_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.05)
    output, searching = io.StringIO(), Future[Roster]()
    run = PullRun(roster=Roster(), whole_roster=searching)
    with progress.show_progress(run, Terminal(output, width=200)):
        time.sleep(0.3)
    assert "who is hidden" in output.getvalue()
    searching.set_result(Roster())
    assert not run.is_waiting_for_hidden
