"""Making few large files of the many small ones that micro-batches leave.

A compacted file names, in its own metadata, the files it replaces. Those are deleted by a later run, an hour after:
until then readers that had listed them still find them, and whoever reads both sees rows twice, as after any crash, and
folds them by key. A crash at any point leaves either the small files alone, or both.
"""

from __future__ import annotations

import glob
import json
import tempfile
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.lake.bucket import filesystem_client
from pipelines.lake.tables import LIVE_TABLES, REPO_EVENTS, RawTable

if TYPE_CHECKING:
    import dlt

READERS_NEED: Final = 3600.0
"""Seconds for which a file that was replaced is kept."""

LARGE_BYTES: Final = 64 * 1024 * 1024
"""Files from this size on are left as they are."""

MOST_ROWS: Final = 250_000
"""Rows of one compacted file, which are held in memory at once."""

_PREFIX: Final = "compact-"
_REPLACES: Final = b"replaces"


@dataclass
class Compaction:
    """What a run did.

    Attributes:
        replaced: Small files that are now in a large one too.
        written: Large files.
        deleted: Files deleted that an earlier run had replaced.
        waiting: Files that a later run has to delete.
    """

    replaced: int = 0
    written: int = 0
    deleted: int = 0
    waiting: int = 0


def compact(pipeline: dlt.Pipeline, *, now: float | None = None) -> Compaction:
    """Compact the tables of the live job, each day's files for themselves.

    Args:
        pipeline: Any pipeline of that lake.
        now: Seconds since 1970; the present if not given.
    """
    client = filesystem_client(pipeline)
    files, done = client.fs_client, Compaction()
    files.invalidate_cache()
    for table in LIVE_TABLES:
        folders: dict[str, dict[str, int]] = {}
        folder = glob.escape(client.get_table_dir(table.name))
        found: dict[str, dict[str, Any]] = files.glob(f"{folder}*/*.parquet", detail=True)
        for path, info in found.items():
            folders.setdefault(path.rpartition("/")[0], {})[path] = info["size"]
        for _, sizes in sorted(folders.items()):
            _compact_folder(files, table, sizes, now=time.time() if now is None else now, done=done)
    return done


def _compact_folder(files: Any, table: RawTable, sizes: dict[str, int], *, now: float, done: Compaction) -> None:
    folder = next(iter(sizes)).rpartition("/")[0]
    replaced: set[str] = set()
    unfinished: set[str] = set()
    for path in sizes:
        if not _name(path).startswith(_PREFIX):
            continue
        left = [f"{folder}/{name}" for name in _replaced_by(files, path) if f"{folder}/{name}" in sizes]
        if now - float(_name(path).split("-")[1]) >= READERS_NEED:
            for old in left:
                files.rm_file(old)
            done.deleted += len(left)
        elif left:
            unfinished.add(path)
            done.waiting += len(left)
        replaced.update(left)
    small = [
        path for path, size in sizes.items() if size < LARGE_BYTES and path not in replaced and path not in unfinished
    ]
    for group in _groups(files, sorted(small)):
        _write(files, table, folder, group, now)
        done.written += 1
        done.replaced += len(group)
        done.waiting += len(group)


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _replaced_by(files: Any, path: str) -> list[str]:
    with files.open(path, "rb") as file:
        metadata = pq.read_schema(file).metadata or {}
    names: list[str] = json.loads(metadata.get(_REPLACES, b"[]"))
    return names


def _groups(files: Any, paths: list[str]) -> list[list[str]]:
    """Put files together as far as their rows fit into one."""
    groups: list[list[str]] = [[]]
    rows = 0
    for path in paths:
        with files.open(path, "rb") as file:
            count = pq.read_metadata(file).num_rows
        if groups[-1] and rows + count > MOST_ROWS:
            groups.append([])
            rows = 0
        groups[-1].append(path)
        rows += count
    return [group for group in groups if len(group) > 1]


def _write(files: Any, table: RawTable, folder: str, paths: list[str], now: float) -> None:
    parts = []
    for path in paths:
        with files.open(path, "rb") as file:
            parts.append(pq.read_table(file))
    # A file from before a column was added has it as null.
    rows = pa.concat_tables(parts, promote_options="default")
    order = ("did", "event_at") if table is REPO_EVENTS else ("service", "observed_at")
    rows = rows.sort_by([(column, "ascending") for column in order])
    replaces = json.dumps([_name(path) for path in paths]).encode()
    rows = rows.replace_schema_metadata({**(rows.schema.metadata or {}), _REPLACES: replaces})
    name = f"{_PREFIX}{int(now)}-{uuid.uuid4().hex[:10]}.parquet"
    with tempfile.TemporaryDirectory() as local:
        written = Path(local) / name
        pq.write_table(rows, written, compression="zstd", row_group_size=50_000)
        files.put_file(str(written), f"{folder}/{name}")
