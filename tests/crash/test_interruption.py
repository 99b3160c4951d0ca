"""A signal while a command is imported, two at once, and one that does not wait: one line, and its exit code."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from pipelines.interruption import INTERRUPTED
from pipelines.lake.bucket import PROJECT_ROOT

IMPORTING = """
import os, runpy, sys
module, number, command = sys.argv[1], int(sys.argv[2]), sys.argv[3]
class Signaling:
    def find_spec(self, name, path, target=None):
        if name == module:
            os.kill(os.getpid(), number)
sys.meta_path.insert(0, Signaling())
sys.argv = [command, "--help"]
runpy.run_path(command, run_name="__main__")
"""
HANDLING = """
import os, signal, sys, time
from pipelines.interruption import end_at_once_from_now, on_signal
end_at_once_from_now()
with on_signal(lambda number: print("heard", flush=True)):
    for pause, number in zip(sys.argv[1::2], sys.argv[2::2]):
        time.sleep(float(pause))
        os.kill(os.getpid(), int(number))
    time.sleep(0.05)
print("went on", flush=True)
"""


pytestmark = pytest.mark.usefixtures("as_in_a_terminal")


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("job", "module", "number"),
    [
        ("live", "dlt", signal.SIGINT),
        *(
            pytest.param(job, module, number, marks=pytest.mark.slow)
            for job, module, number in (
                ("bluesky", "pipelines.warehouse", signal.SIGINT),
                ("report", "duckdb", signal.SIGTERM),
            )
        ),
    ],
)
def test_a_command_that_is_being_imported(job: str, module: str, number: signal.Signals) -> None:
    done = run(IMPORTING, module, number.value, PROJECT_ROOT / "pipelines" / f"{job}.py")
    assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", f"{INTERRUPTED}\n")


INT, TERM = signal.SIGINT.value, signal.SIGTERM.value


@pytest.mark.parametrize(
    ("signals", "code", "said"),
    [
        ((0, INT), 0, "heard\nwent on\n"),
        ((0, INT, 0.01, INT, 0.01, TERM), 0, "heard\nwent on\n"),
        ((0, INT, 1.1, INT), 130, "heard\n"),
        ((0, INT, 1.1, TERM), 143, "heard\n"),
    ],
    ids=["one", "one that was handed on", "one more", "another"],
)
def test_who_asks_once_more_does_not_wait(signals: tuple[float, ...], code: int, said: str) -> None:
    done = run(HANDLING, *signals)
    assert (done.returncode, done.stdout) == (code, said)
    assert done.stderr == (f"{INTERRUPTED}\n" if code else "")


def test_a_signal_that_is_ignored_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    done = run(HANDLING, 0, INT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")
