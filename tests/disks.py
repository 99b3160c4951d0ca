"""File systems of the tests' own, so that one can be full, or read-only, as no folder is for root."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1 << 20


@contextmanager
def small_disk(folder: Path, mib: int = 24) -> Iterator[Path]:
    """Make a folder a small file system. Takes root, or sudo that asks nothing, as on GitHub's runners."""
    folder.mkdir(parents=True, exist_ok=True)
    # Others than root may write to it too: its mode is that of /tmp.
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=1777", "tmpfs", str(folder)]
    for sudo in ([], ["sudo", "-n"]):
        if shutil.which([*sudo, *mounting][0]) and _run([*sudo, *mounting]):
            break
    else:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        _run([*sudo, "umount", "--lazy", str(folder)])


@contextmanager
def filled(disk: Path, *, but: int = 0) -> Iterator[None]:
    """Let somebody else's file take all the room there is, but for so many bytes."""
    ballast = disk / "ballast"
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(b"\0" * 4096):
            pass
    with ballast.open("r+b") as file:
        file.truncate(ballast.stat().st_size - but)
    assert shutil.disk_usage(disk).free == but
    try:
        yield
    finally:
        ballast.unlink()


@contextmanager
def read_only(disk: Path) -> Iterator[None]:
    """Let nobody write to a file system."""
    for sudo in ([], ["sudo", "-n"]):
        if _run([*sudo, "mount", "-o", "remount,ro", str(disk)]):
            break
    try:
        yield
    finally:
        _run([*sudo, "mount", "-o", "remount,rw", str(disk)])


def _run(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
