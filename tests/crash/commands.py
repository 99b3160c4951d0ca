"""Commands as users start them, in a project of their own, ended at any moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.interruption import INTERRUPTED
from pipelines.lake.bucket import PROJECT_ROOT

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Commands:
    """Runs `python pipelines/...`.

    Attributes:
        folder: The project's.
    """

    folder: Path

    def run(self, *command: str) -> float:
        """Run a command to its end, and tell how long that took."""
        begun = time.monotonic()
        job = self._start(command)
        said, _ = job.communicate()
        assert job.returncode == 0, said
        return time.monotonic() - begun

    def end(self, number: signal.Signals, after: float, *command: str) -> None:
        """Send a command a signal so many seconds after its start, and see that it ends as it has to."""
        job = self._start(command)
        time.sleep(after)
        job.send_signal(number)
        said, _ = job.communicate()
        if number == signal.SIGKILL:
            assert job.returncode in (-number, 0), said
        elif job.returncode:
            assert job.returncode == 128 + number, said
            assert said.splitlines()[-1] == INTERRUPTED
            assert "Traceback" not in said

    def _start(self, command: tuple[str, ...]) -> subprocess.Popen[str]:
        settings = {name: value for name, value in os.environ.items() if "__" not in name.strip("_")}
        settings |= {"DLT_PROJECT_DIR": str(self.folder), "DLT_LOCAL_DIR": str(self.folder)}
        settings |= {"DLT_DATA_DIR": str(self.folder / "dlt"), "DBT_TARGET_PATH": str(self.folder / "target")}
        settings["DBT_LOG_PATH"] = str(self.folder / "logs")
        program, *arguments = command
        return subprocess.Popen(
            [sys.executable, str(PROJECT_ROOT / "pipelines" / program), *arguments],
            env=settings,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
