"""Where an export goes: a folder, or the folder `marts/` in the lake's bucket."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pipelines.exports.marts import ExportError
from pipelines.lake.bucket import filesystem_client
from pipelines.lake.forget_warehouse import MARTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    import dlt

BUCKET: Final = "bucket"
"""What `--out` says where the lake's bucket is meant."""


class Target:
    """Takes files, each whole or not at all."""

    def __init__(self, folder: Path, place: str) -> None:
        """Take them into a folder.

        Args:
            folder: Where they are written.
            place: Where that is, for people.
        """
        self.folder = folder
        self.place = place

    def keep(self, file: str) -> str:
        """Take a file that was written into the folder, where it is already, and say where it is, for people."""
        return f"{self.place}/{file}"

    def remove(self, path: str) -> None:
        """Remove a file of an earlier export."""
        (self.folder / path).unlink(missing_ok=True)

    def read(self, file: str) -> str | None:
        """Read a text that an earlier export left; None if there is none."""
        path = self.folder / file
        return path.read_text(encoding="utf-8") if path.exists() else None


class BucketTarget(Target):
    """Takes them into the bucket, through the file system by which the lake is written."""

    def __init__(self, folder: Path, pipeline: dlt.Pipeline) -> None:
        """Take them from a folder into a pipeline's bucket."""
        client = filesystem_client(pipeline)
        self._files, self._root = client.fs_client, f"{client.bucket_path}/{MARTS}"
        super().__init__(folder, client.make_remote_url(self._root))

    def keep(self, file: str) -> str:
        """Upload a file, a table's into a folder of its own, remove it here, and say where it is."""
        written = self.folder / file
        place = file if written.suffix == ".json" else f"{written.stem}/{file}"
        path = f"{self._root}/{place}"
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._files.put_file(str(written), path)
        written.unlink()
        return f"{self.place}/{place}"

    def remove(self, path: str) -> None:
        """Remove a file of the bucket's."""
        with suppress(FileNotFoundError):
            self._files.rm_file(f"{self._root}/{path}")

    def read(self, file: str) -> str | None:
        """Read a text from the bucket."""
        self._files.invalidate_cache()
        try:
            return str(self._files.cat_file(f"{self._root}/{file}"), "utf-8")
        except FileNotFoundError:
            return None


@contextmanager
def whole(file: Path) -> Iterator[Path]:
    """Give the place at which a file is written; an earlier one stays until the new one is whole.

    Args:
        file: The file.

    Raises:
        OSError: It cannot be written. The error names it, which that of a write does not.
    """
    unfinished = file.with_name(f".{file.name}.partial")
    try:
        yield unfinished
        unfinished.replace(file)
    except OSError as error:
        error.filename = error.filename or str(file)
        raise
    finally:
        with suppress(OSError):
            unfinished.unlink()


@contextmanager
def open_target(out: str, pipeline: dlt.Pipeline) -> Iterator[Target]:
    """Open what `--out` names.

    Args:
        out: A folder, which is made; or `bucket`.
        pipeline: Any pipeline of the lake.

    Raises:
        ExportError: Nothing can be written there.
    """
    if "://" in out:
        raise ExportError(
            f"--out takes a folder, or the word {BUCKET}: the lake's own is the one for which the settings have a key."
        )
    if out == BUCKET:
        with tempfile.TemporaryDirectory(prefix="export-") as folder:
            yield BucketTarget(Path(folder), pipeline)
        return
    folder_of_user = Path(out).expanduser()
    try:
        folder_of_user.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"The folder {folder_of_user} cannot be made: {error.strerror}.") from error
    if not os.access(folder_of_user, os.W_OK):
        raise ExportError(f"The folder {folder_of_user} is not writable for you.")
    yield Target(folder_of_user, str(folder_of_user))
