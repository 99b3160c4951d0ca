"""How files get into the lake: the classes that dlt writes them through, in place of fsspec's and s3fs's own."""

from __future__ import annotations

import shutil
import uuid
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from pipelines.lake.local_disk import NO_ROOM

if TYPE_CHECKING:
    from collections.abc import Iterator


class AtomicLocalFileSystem(LocalFileSystem):  # type: ignore[misc]
    """A local folder in which a file is there whole or not at all, as in a bucket.

    fsspec's own copies into place: a crash leaves half a Parquet file, which breaks every reader of the table, or an
    empty state file, which breaks every later run.
    """

    def cp_file(self, path1: str, path2: str, **kwargs: Any) -> None:
        """Copy a file."""
        with self._in_place(path2) as temporary:
            shutil.copyfile(self._strip_protocol(path1), temporary)

    def makedirs(self, path: str, exist_ok: bool = True) -> None:
        """Make a folder. One that a crash left empty is as good as none."""
        super().makedirs(path, exist_ok=exist_ok)

    def write_text(self, path: str, value: str, *args: Any, **kwargs: Any) -> None:
        """Write a text file."""
        with self._in_place(path) as temporary:
            super().write_text(temporary, value, *args, **kwargs)

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        """Write bytes; with the mode `create` only one of those who make the file at the same moment succeeds."""
        with self._in_place(path, is_new=mode == "create") as temporary:
            super().pipe_file(temporary, value, **kwargs)

    @contextmanager
    def _in_place(self, path: str, *, is_new: bool = False) -> Iterator[str]:
        target = Path(self._strip_protocol(path))
        # No reader takes a hidden file without a known ending for a part of a table.
        temporary = target.with_name(f".{target.name}{f'.{uuid.uuid4().hex}' if is_new else ''}.partial")
        try:
            yield str(temporary)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            if error.errno in NO_ROOM:  # What the system says of it names no file, or the one that was read.
                error.filename, error.filename2 = str(target), None
            raise
        if is_new:
            try:
                _link(temporary, target)
            finally:
                temporary.unlink()
        else:
            temporary.replace(target)


def _link(written: Path, target: Path) -> None:
    try:
        target.hardlink_to(written)
    except FileExistsError:
        raise
    except OSError:  # FAT and many network file systems know no such links.
        with target.open("xb") as file:
            file.write(written.read_bytes())


def use_lake_filesystems() -> None:
    """Let dlt, in this process, use local files and S3 through classes of ours: each says why."""
    fsspec.register_implementation("file", AtomicLocalFileSystem, clobber=True)
    # By its name: importing it takes a second.
    fsspec.register_implementation("s3", "pipelines.lake.s3.ExistingBucketFileSystem", clobber=True)
