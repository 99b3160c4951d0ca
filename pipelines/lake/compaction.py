"""Making few large files of the many small ones that loads leave.

A month that has ended becomes one file a table, or as many as its size needs. The live job's tables, which get a file a
minute, are compacted by the day before that, and so is what dlt notes of its loads (`compacted_loads`).

A compacted file names, in its own metadata, the files it replaces. Those are deleted by a later run, an hour after:
until then readers that had listed them still find them, and whoever reads both sees rows twice, as after any crash, and
folds them by key. A crash at any point leaves either the small files alone, or both.

Each row keeps the place where dlt wrote it, `_source_file` and `_source_row`, by which dbt knows what it has read.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.lake.bucket import filesystem_client
from pipelines.lake.compacted import Compaction, CompactionRun
from pipelines.lake.compacted_loads import compact_loads, groups_of_loads
from pipelines.lake.damaged import DamagedFileError, read_rows
from pipelines.lake.lease import lease
from pipelines.lake.tables import (
    CHECK_TABLES,
    LIVE_TABLES,
    RAW_TABLES,
    REPO_EVENTS,
    SOURCE_FILE,
    SOURCE_ROW,
    RawTable,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import dlt

READERS_NEED: Final = 3600.0
"""Seconds for which a file that was replaced is kept."""

LARGE_BYTES: Final = 64 * 1024 * 1024
"""Files from this size on are left as they are."""

DUE_FILES: Final = 1_000
"""The live job's small files from which on a night compacts them: one answer to a list names so many."""

MOST_ROWS: Final = 250_000
"""Rows that are sorted into one compacted file, which are held in memory at once."""

ROWS_AT_ONCE: Final = 10_000
"""Rows of a month that are in memory at once."""

TAIL_BYTES: Final = 64 * 1024
"""Bytes in which a footer ends that does not name very many files."""

_PATH: Final = re.compile(r"([^/]+)/([0-9]{4}-[0-9]{2})(-[0-9]{2})?/[^/]+\.parquet")
_COMPACTED: Final = re.compile(r"compact-([0-9]+)-[0-9a-f]+\.parquet")
_REPLACES: Final = b"replaces"
_HOLDS: Final = b"holds"


@dataclass(frozen=True)
class _Group:
    """Files that may be put together.

    Attributes:
        table: Whose rows they hold.
        folder: Where compacted files go; below the data set, as all paths here.
        sizes: Their bytes, by path.
    """

    table: RawTable
    folder: str
    sizes: dict[str, int]

    @property
    def is_month(self) -> bool:
        """Whether it is a month that has ended, not a day."""
        return self.folder.count("-") == 1

    @property
    def is_due(self) -> bool:
        """Whether a month that has ended has small files that could go into its own folder."""
        small = [path for path, size in self.sizes.items() if size < LARGE_BYTES]
        return self.is_month and len(small) > 1 and any(_folder(path) != self.folder for path in small)


def is_due(pipeline: dlt.Pipeline, *, now: float | None = None) -> bool:
    """Tell, by one look at the lake, whether a month has ended since the last compaction, or small files are many.

    Args:
        pipeline: Any pipeline of that lake.
        now: Seconds since 1970; the present if not given.
    """
    client = filesystem_client(pipeline)
    month = _month(time.time() if now is None else now)
    sizes = _listed(client.fs_client, client.dataset_path.rstrip("/"))
    groups, loads = _groups_of(sizes, month), groups_of_loads(sizes, month)
    days = [group for group in groups if not group.is_month]
    small = sum(size < LARGE_BYTES for group in days for size in group.sizes.values())
    small += sum(len(group.paths) for group in loads if not group.is_month)
    return small > DUE_FILES or any(group.is_due for group in groups) or any(group.is_due for group in loads)


def compact(pipeline: dlt.Pipeline, *, now: float | None = None) -> Compaction:
    """Compact the tables of months that have ended, and each day's files of the live job.

    Args:
        pipeline: Any pipeline of that lake.
        now: Seconds since 1970; the present if not given.

    Raises:
        LeaseTaken: Another job is writing files of the lake anew.
    """
    client = filesystem_client(pipeline)
    files, root, done = client.fs_client, client.dataset_path.rstrip("/"), Compaction()
    with lease(pipeline) as held:
        run = CompactionRun(files, root, held, time.time() if now is None else now, READERS_NEED, done)
        sizes, month = _listed(files, root), _month(run.now)
        for group in _groups_of(sizes, month):
            if len(group.sizes) > 1:
                held.renew()
                _Compactor(run, group).compact()
        for loads in groups_of_loads(sizes, month):
            if len(loads.paths) > 1:
                held.renew()
                compact_loads(run, loads)
    return done


def _listed(files: Any, root: str) -> dict[str, int]:
    """List the data set, all at once: a list for each folder would be a request for each night that there was."""
    files.invalidate_cache()
    found: dict[str, dict[str, Any]] = files.find(root, detail=True)
    return {str(path).removeprefix(f"{root}/"): info["size"] for path, info in sorted(found.items())}


def _month(now: float) -> str:
    return f"{datetime.fromtimestamp(now, UTC):%Y-%m}"


def _groups_of(sizes: Mapping[str, int], this_month: str) -> list[_Group]:
    tables = {table.name: table for table in (*RAW_TABLES, *CHECK_TABLES, *LIVE_TABLES)}
    groups: dict[str, _Group] = {}
    for path, size in sizes.items():
        named = _PATH.fullmatch(path)
        if not named or named[1] not in tables:
            continue
        table, month, day = tables[named[1]], named[2], named[3] or ""
        if month >= this_month and table not in LIVE_TABLES:
            continue
        folder = f"{table.name}/{month}{day if month >= this_month else ''}"
        groups.setdefault(folder, _Group(table, folder, {})).sizes[path] = size
    return list(groups.values())


class _Compactor:
    """Compacts one group."""

    def __init__(self, run: CompactionRun, group: _Group) -> None:
        self._run = run
        self._group = group
        self._footers: dict[str, pq.FileMetaData] = {}

    def compact(self) -> None:
        """Delete what was replaced an hour ago, and put the small files together that are left."""
        for paths in self._groups(self._small_files()):
            self._put_together(paths)

    def _small_files(self) -> list[str]:
        sizes, replaced, unfinished, small = self._group.sizes, set[str](), set[str](), []
        # Compacted files come first: what they replace need not be looked at.
        for path in sorted(sizes, key=lambda path: (not _COMPACTED.fullmatch(_name(path)), path)):
            written_at, is_small = _COMPACTED.fullmatch(_name(path)), sizes[path] < LARGE_BYTES
            if path in replaced or not (written_at or is_small):
                continue
            footer = self._read_footer(path)
            if footer is None:
                continue
            if is_small:
                small.append(path)
            left = [name for name in _replaced_by(footer, path) if name in sizes]
            if left and written_at and not self._run.remove_replaced(left, float(written_at[1])):
                unfinished.add(path)
            replaced.update(left)
        return sorted({*small} - replaced - unfinished)

    def _read_footer(self, path: str) -> pq.FileMetaData | None:
        """Read what a file says of itself, in one request where it is not long."""
        place, size = self._run.place(path), self._group.sizes[path]
        tail: bytes = self._run.files.cat_file(place, start=max(0, size - TAIL_BYTES), end=size)
        length = int.from_bytes(tail[-8:-4], "little") + 8
        if len(tail) < length <= size:
            tail = self._run.files.cat_file(place, start=size - length, end=size)
        try:
            self._footers[path] = pq.read_metadata(pa.BufferReader(tail))
        except (pa.ArrowException, OSError) as error:
            self._run.done.damaged[place] = str(error).splitlines()[0]
        return self._footers.get(path)

    def _groups(self, small: list[str]) -> list[list[str]]:
        """Put files together up to a size: days, which are sorted, as far as their rows fit into memory."""
        groups: list[list[str]] = [[]]
        rows = size = 0
        for path in small:
            count = self._footers[path].num_rows
            is_full = size >= LARGE_BYTES if self._group.is_month else rows + count > MOST_ROWS
            if groups[-1] and is_full:
                groups.append([])
                rows = size = 0
            groups[-1].append(path)
            rows += count
            size += self._group.sizes[path]
        return groups

    def _put_together(self, paths: list[str]) -> None:
        run, folder = self._run, self._run.place(self._group.folder)
        while len(paths) > 1:
            with tempfile.TemporaryDirectory() as local:
                written = Path(local, f"compact-{int(run.now)}-{uuid.uuid4().hex[:10]}.parquet")
                try:
                    self._write(written, paths)
                except DamagedFileError as error:
                    run.done.damaged[error.path] = error.reason
                    paths = [path for path in paths if run.place(path) != error.path]
                    continue
                except pa.ArrowTypeError as error:  # Nothing of ours writes a column in two types.
                    run.done.damaged[folder] = str(error).splitlines()[0]
                    return
                run.held.renew()  # What was read may have been forgotten by a job that came when the lease had run out.
                run.files.makedirs(folder, exist_ok=True)
                run.files.put_file(str(written), f"{folder}/{written.name}")
            run.count_written(len(paths))
            return

    def _write(self, written: Path, paths: list[str]) -> None:
        # A file from before a column was added has it as null.
        schema = pa.unify_schemas([_with_places(self._footers[path].schema.to_arrow_schema()) for path in paths])
        holds = sorted({name for path in paths for name in _held_by(self._footers[path], path)})
        notes: dict[bytes | str, bytes | str] = {_REPLACES: json.dumps(paths), _HOLDS: json.dumps(holds)}
        schema = schema.with_metadata({**(schema.metadata or {}), **notes})
        with pq.ParquetWriter(written, schema, compression="zstd") as writer:
            for rows in self._rows(paths, schema):
                writer.write_table(rows, row_group_size=50_000)

    def _rows(self, paths: list[str], schema: pa.Schema) -> Iterator[pa.Table]:
        rows, count = [schema.empty_table()], 0
        for path in paths:
            part = read_rows(self._run.files, self._run.place(path))
            rows.append(_placed(part, path))
            count += len(part)
            if self._group.is_month and count >= ROWS_AT_ONCE:
                yield pa.concat_tables(rows, promote_options="default").replace_schema_metadata(schema.metadata)
                rows, count = [schema.empty_table()], 0
        last = pa.concat_tables(rows, promote_options="default").replace_schema_metadata(schema.metadata)
        if not self._group.is_month:
            order = ("did", "event_at") if self._group.table is REPO_EVENTS else ("service", "observed_at")
            last = last.sort_by([(column, "ascending") for column in order])
        yield last


def _with_places(schema: pa.Schema) -> pa.Schema:
    fields = [field.with_type(_plain(field.type)) for field in schema]
    places = (pa.field(SOURCE_FILE, pa.string()), pa.field(SOURCE_ROW, pa.int64()))
    missing = (place for place in places if place.name not in schema.names)
    return pa.schema([*fields, *missing]).with_metadata(schema.metadata)


def _placed(rows: pa.Table, path: str) -> pa.Table:
    """Tell each row's place, where it is the place in which dlt wrote it."""
    if SOURCE_FILE not in rows.schema.names:
        rows = rows.append_column(SOURCE_FILE, pa.repeat(path, len(rows)))
        rows = rows.append_column(SOURCE_ROW, pa.array(range(len(rows)), pa.int64()))
    return rows.cast(_with_places(rows.schema))


def _plain(kind: pa.DataType) -> pa.DataType:
    """Give the type of the values: dlt writes load ids as a dictionary, whose type depends on how many there are."""
    return kind.value_type if isinstance(kind, pa.DictionaryType) else kind


def _name(path: str) -> str:
    return path.rpartition("/")[2]


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _replaced_by(footer: pq.FileMetaData, path: str) -> list[str]:
    names: list[str] = json.loads((footer.metadata or {}).get(_REPLACES, b"[]"))
    # Where compaction knew days alone, it wrote the names without their folder.
    return [name if "/" in name else f"{_folder(path)}/{name}" for name in names]


def _held_by(footer: pq.FileMetaData, path: str) -> list[str]:
    holds: list[str] = json.loads((footer.metadata or {}).get(_HOLDS, b"null")) or [path]
    return holds
