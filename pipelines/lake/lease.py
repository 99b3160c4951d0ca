"""The right to write files of the lake anew, which one job has at a time, on whichever machine.

Leases have numbers. Whoever makes the file of the next number has the lease: of those who try, a store lets one make a
file that must not be there (https://developers.cloudflare.com/r2/api/s3/extensions/). A lease ends when its file says
so, or by itself an hour later, so that a job that was killed blocks others no longer than that. Where dlt has the same
folder of pipelines it blocks nobody: a lock there ends with the process that has it.
"""

from __future__ import annotations

import hashlib
import json
import platform
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dlt.common.pipeline import get_dlt_pipelines_dir
from filelock import FileLock, Timeout

from pipelines.lake.bucket import LakeError, filesystem_client, location_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dlt

LASTS: Final = 3600.0
"""Seconds for which a lease holds that nobody renews."""

LONGEST: Final = 86_400.0
"""Seconds from now to the end of a lease that was taken by a clock which is ahead."""

_FOLDER: Final = "_leases"


class LeaseTaken(LakeError):  # noqa: N818 (it is no fault)
    """Another job has the lease."""

    def __init__(self, until: float | None = None) -> None:
        ends = f", until {datetime.fromtimestamp(until, UTC):%Y-%m-%d %H:%M} UTC at the latest" if until else ""
        super().__init__(f"Another job is writing files of this lake anew{ends}: run it later.")


class Lease:
    """A lease that this job has. Safe to use from several threads.

    Args:
        files: The lake's file system.
        folder: Where the leases are.
        number: Its number, which nobody has had.

    Raises:
        LeaseTaken: Somebody else was faster.
    """

    def __init__(self, files: Any, folder: str, number: int) -> None:
        self._files = files
        self._folder = folder
        self._number = number
        self._owner = uuid.uuid4().hex
        self._renewing = threading.Lock()
        # What the file says counts: a request that was sent again meets the file it made itself, and a store that knows
        # no condition lets the last one win.
        with suppress(FileExistsError):
            files.pipe_file(_path(folder, number), self._content(LASTS), mode="create")
        self.renew()

    def renew(self) -> None:
        """See that the lease is this job's still, and let it begin again.

        Raises:
            LeaseTaken: It took too long, and somebody else has it now.
        """
        with self._renewing:
            number, content = _newest(self._files, self._folder)
            if (number, content.get("owner")) != (self._number, self._owner):
                raise LeaseTaken
            self._write(LASTS)

    def release(self) -> None:
        """Let the next job have it. The file stays, so that no number is given twice."""
        self._write(0)

    def _write(self, seconds: float) -> None:
        self._files.pipe_file(_path(self._folder, self._number), self._content(seconds))

    def _content(self, seconds: float) -> bytes:
        content = {"owner": self._owner, "home": _home(), "until": time.time() + seconds}
        return json.dumps(content).encode()


@contextmanager
def lease(pipeline: dlt.Pipeline) -> Iterator[Lease]:
    """Have the lease of a pipeline's lake, and give it back at the end.

    Args:
        pipeline: Any pipeline of the lake.

    Raises:
        LeaseTaken: Another job has it.
    """
    client = filesystem_client(pipeline)
    files, folder = client.fs_client, f"{client.dataset_path.rstrip('/')}/{_FOLDER}"
    with _alone_on_this_machine(location_of(client)):
        files.makedirs(folder, exist_ok=True)
        number, content = _newest(files, folder)
        until = _until(content)
        if until > time.time() and content.get("home") != _home():
            raise LeaseTaken(until)
        held = Lease(files, folder, number + 1)
        try:
            with suppress(OSError):  # A key may not be allowed to delete, and nobody reads it any more.
                if number:
                    files.rm_file(_path(folder, number))
            yield held
        finally:
            held.release()


@contextmanager
def _alone_on_this_machine(lake: str) -> Iterator[None]:
    name = f"bluesky-lease-{hashlib.sha256(lake.encode()).hexdigest()[:16]}.lock"
    try:
        lock = FileLock(Path(get_dlt_pipelines_dir(), name)).acquire(blocking=False)
    except Timeout as error:
        raise LeaseTaken from error
    with lock:
        yield


def _home() -> str:
    """Name where a lock tells whether a job is alive: this machine, and dlt's folder of pipelines."""
    return f"{platform.node()}:{get_dlt_pipelines_dir()}"


def _until(content: dict[str, Any]) -> float:
    """Read when a lease ends; one that would last for days was taken by a clock that is wrong, and counts no more."""
    until = content.get("until")
    if not isinstance(until, int | float) or not until <= time.time() + LONGEST:
        return 0.0
    return until


def _newest(files: Any, folder: str) -> tuple[int, dict[str, Any]]:
    files.invalidate_cache()
    numbers = [
        int(name[:-5]) for name in (str(path).rpartition("/")[2] for path in files.find(folder)) if _is_lease(name)
    ]
    if not numbers:
        return 0, {}
    try:
        content = json.loads(files.cat_file(_path(folder, max(numbers))))
    except FileNotFoundError as error:
        raise LeaseTaken from error  # Whoever has just taken the next one removes it.
    except ValueError:
        content = None
    # Another content is damage: no job writes it so.
    return max(numbers), content if isinstance(content, dict) else {}


def _is_lease(name: str) -> bool:
    return name.endswith(".json") and name[:-5].isdecimal()


def _path(folder: str, number: int) -> str:
    return f"{folder}/{number:08d}.json"
