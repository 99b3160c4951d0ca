"""Making few large files of the many small ones that micro-batches leave.

A compacted file names, in its own metadata, the files it replaces. Those are deleted by a later run, an hour after:
until then readers that had listed them still find them, and whoever reads both sees rows twice, as after any crash, and
folds them by key. A crash at any point leaves either the small files alone, or both.
"""

from __future__ import annotations

import glob
import json
import re
import tempfile
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.lake.bucket import filesystem_client
from pipelines.lake.damaged import DamagedFileError, read_rows
from pipelines.lake.lease import Lease, lease
from pipelines.lake.tables import LIVE_TABLES, REPO_EVENTS, RawTable

if TYPE_CHECKING:
    import dlt

READERS_NEED: Final = 3600.0
"""Seconds for which a file that was replaced is kept."""

LARGE_BYTES: Final = 64 * 1024 * 1024
"""Files from this size on are left as they are."""

MOST_ROWS: Final = 250_000
"""Rows of one compacted file, which are held in memory at once."""

_COMPACTED: Final = re.compile(r"compact-([0-9]+)-[0-9a-f]+\.parquet")
_REPLACES: Final = b"replaces"


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


def compact(pipeline: dlt.Pipeline, *, now: float | None = None) -> Compaction:
    """Compact the tables of the live job, each day's files for themselves.

    Args:
        pipeline: Any pipeline of that lake.
        now: Seconds since 1970; the present if not given.

    Raises:
        LeaseTaken: Another job is writing files of the lake anew.
    """
    client = filesystem_client(pipeline)
    files, done = client.fs_client, Compaction()
    with lease(pipeline) as held:
        files.invalidate_cache()
        for table in LIVE_TABLES:
            folders: dict[str, dict[str, int]] = {}
            folder = glob.escape(client.get_table_dir(table.name))
            found: dict[str, dict[str, Any]] = files.glob(f"{folder}*/*.parquet", detail=True)
            for path, info in found.items():
                folders.setdefault(path.rpartition("/")[0], {})[path] = info["size"]
            for _, sizes in sorted(folders.items()):
                held.renew()
                _compact_folder(files, held, table, sizes, now=time.time() if now is None else now, done=done)
    return done


def _compact_folder(
    files: Any, held: Lease, table: RawTable, sizes: dict[str, int], *, now: float, done: Compaction
) -> None:
    folder = next(iter(sizes)).rpartition("/")[0]
    replaced: set[str] = set()
    unfinished: set[str] = set()
    row_counts: dict[str, int] = {}
    # Compacted files come first: what they replace need not be looked at.
    for path in sorted(sizes, key=lambda path: (not _COMPACTED.fullmatch(_name(path)), path)):
        written_at, is_small = _COMPACTED.fullmatch(_name(path)), sizes[path] < LARGE_BYTES
        if path in replaced or not (written_at or is_small):
            continue
        footer = _read_footer(files, path, done)
        if footer is None:
            continue
        if is_small:
            row_counts[path] = footer.num_rows
        left = [f"{folder}/{name}" for name in _replaced_by(footer) if f"{folder}/{name}" in sizes]
        if written_at and now - float(written_at[1]) >= READERS_NEED:
            for old in left:
                files.rm_file(old)
            done.deleted += len(left)
        elif left:
            unfinished.add(path)
            done.waiting += len(left)
        replaced.update(left)
    small = {path: row_counts[path] for path in sorted(row_counts.keys() - replaced - unfinished)}
    for group in _groups(small):
        parts = {path: rows for path in group if (rows := _read_rows(files, path, done)) is not None}
        if len(parts) > 1:
            rows, name = _together(table, parts), f"compact-{int(now)}-{uuid.uuid4().hex[:10]}.parquet"
            held.renew()  # What was read may have been forgotten by a job that came when the lease had run out.
            _write(files, f"{folder}/{name}", rows)
            done.written += 1
            done.replaced += len(parts)
            done.waiting += len(parts)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _read_footer(files: Any, path: str, done: Compaction) -> pq.FileMetaData | None:
    try:
        with files.open(path, "rb") as file:
            return pq.read_metadata(file)
    except pa.ArrowInvalid as error:
        done.damaged[path] = str(error).splitlines()[0]
        return None


def _replaced_by(footer: pq.FileMetaData) -> list[str]:
    names: list[str] = json.loads((footer.metadata or {}).get(_REPLACES, b"[]"))
    return names


def _groups(row_counts: dict[str, int]) -> list[list[str]]:
    """Put files together as far as their rows fit into one."""
    groups: list[list[str]] = [[]]
    rows = 0
    for path, count in row_counts.items():
        if groups[-1] and rows + count > MOST_ROWS:
            groups.append([])
            rows = 0
        groups[-1].append(path)
        rows += count
    return [group for group in groups if len(group) > 1]


def _read_rows(files: Any, path: str, done: Compaction) -> pa.Table | None:
    try:
        return read_rows(files, path)
    except DamagedFileError as error:
        done.damaged[path] = error.reason
        return None


def _together(table: RawTable, parts: dict[str, pa.Table]) -> pa.Table:
    """Put the rows of several files into one table, which names the files."""
    # A file from before a column was added has it as null.
    rows = pa.concat_tables(parts.values(), promote_options="default")
    order = ("did", "event_at") if table is REPO_EVENTS else ("service", "observed_at")
    rows = rows.sort_by([(column, "ascending") for column in order])
    replaces = json.dumps([_name(path) for path in parts]).encode()
    return rows.replace_schema_metadata({**(rows.schema.metadata or {}), _REPLACES: replaces})


def _write(files: Any, path: str, rows: pa.Table) -> None:
    with tempfile.TemporaryDirectory() as local:
        written = Path(local) / _name(path)
        pq.write_table(rows, written, compression="zstd", row_group_size=50_000)
        files.put_file(str(written), path)
