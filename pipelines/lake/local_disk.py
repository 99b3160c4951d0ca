"""What a user can do where this machine's own disk takes no file."""

from __future__ import annotations

import errno
import shutil
import tempfile
from pathlib import Path
from typing import Final

import dlt
from dlt.common.pipeline import get_dlt_pipelines_dir

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""The disk, or somebody's share of it, is full, or a file larger than it may be."""

_DUCKDB_HAS_NO_ROOM: Final = ("No space left on device", "max_temp_directory_size")
"""DuckDB's words, and the system's: what it spills may take no more than what was free when it began."""

_NO_FILE: Final = frozenset({errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EIO})


def explain_disk_error(error: OSError) -> str | None:
    """Say in one line what a user can do about an error of a local file system; None if it is no such error.

    An error of writing names no file. Then it is the place with the least room of those that a job writes to.
    """
    place = error.filename2 or error.filename
    if error.errno in NO_ROOM:
        place = Path(place) if place else min(_places(), key=_room)
        return f"There is no room on the disk of {place} ({error.strerror}). Nothing is lost: make room and run again."
    if isinstance(error, PermissionError) and place:
        return f"{place} is not writable for you."
    if error.errno in _NO_FILE and place:
        return f"{place} cannot be written: {error.strerror}."
    return None


def has_no_room(said: str) -> bool:
    """Tell whether DuckDB says that a disk is full."""
    return any(words in said for words in _DUCKDB_HAS_NO_ROOM)


def _places() -> tuple[Path, ...]:
    return (
        Path(get_dlt_pipelines_dir()),
        Path(dlt.current.run_context().local_dir),
        Path(tempfile.gettempdir()),
    )


def _room(place: Path) -> int:
    """Bytes that are free where a folder is, or is to be made."""
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    return shutil.disk_usage(there).free
