"""What a compaction goes by, and what it did."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.lake.lease import Lease


@dataclass
class Compaction:
    """What a run did.

    Attributes:
        replaced: Small files that are now in a large one too.
        written: Large files.
        deleted: Files deleted that an earlier run had replaced.
        waiting: Files that a later run has to delete.
        damaged: Files that cannot be read, with the reason; they are left as they are.
    """

    replaced: int = 0
    written: int = 0
    deleted: int = 0
    waiting: int = 0
    damaged: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CompactionRun:
    """A run under way.

    Attributes:
        files: The lake's file system.
        root: The data set, below which all paths are.
        held: The right to write.
        now: Seconds since 1970.
        readers_need: Seconds for which a file that was replaced is kept.
        done: What it has done so far.
    """

    files: Any
    root: str
    held: Lease
    now: float
    readers_need: float
    done: Compaction

    def remove_replaced(self, paths: list[str], written_at: float) -> bool:
        """Delete files for which another stands since a time, if that is long enough; tell whether it is."""
        if self.now - written_at < self.readers_need:
            self.done.waiting += len(paths)
            return False
        for path in paths:
            self.files.rm_file(self.place(path))
        self.done.deleted += len(paths)
        return True

    def count_written(self, replaced: int) -> None:
        """Count a large file, and the small ones for which it stands."""
        self.done.written += 1
        self.done.replaced += replaced
        self.done.waiting += replaced

    def place(self, path: str) -> str:
        """Name a file as the file system does."""
        return f"{self.root}/{path}"
