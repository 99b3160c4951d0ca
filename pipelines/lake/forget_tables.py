"""Taking a person out of the lake's Parquet files.

DuckDB finds the rows that name them, in all files of a table at once and within its memory limit. Only files that hold
such a row are written anew, a batch of rows at a time, with the schema and the metadata that they had: by pyarrow,
which wrote them, since a COPY of DuckDB's would lose which columns may be null and which files a compacted one
replaces.

A file gets its new content under its own name, at once: a folder renames, a bucket puts. So each is either as it was or
clean, a crash leaves nothing else, and doing it again does what is left. A reader that has a local file open reads the
old one to its end; one that reads a bucket's in parts is refused by its ETag, and reads again.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.lake.bucket import filesystem_client
from pipelines.lake.duckdb_settings import as_pattern
from pipelines.lake.scrubbing import FORGOTTEN_HANDLE, Scrubber, normalized, table_of
from pipelines.lake.served_names import served_names
from pipelines.lake.tables import (
    AUTHOR_FEED,
    CHECK_TABLES,
    LIVE_TABLES,
    PROFILES,
    RAW_TABLES,
    STARTER_PACK_MEMBERS,
    STARTER_PACKS,
    RawTable,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import dlt

    from pipelines.lake.duckdb_settings import DuckDBSettings

ROWS_AT_ONCE: Final = 10_000
"""Rows of a file that are in memory while it is written anew: some 50 MB of feed items."""

_FILES_AT_ONCE: Final = 2
_VIEWS_AT_ONCE: Final = 1_000

_TABLES: Final[Mapping[str, RawTable]] = {table.name: table for table in (*RAW_TABLES, *CHECK_TABLES, *LIVE_TABLES)}

_HANDLE_COLUMNS: Final = (
    ("starter_packs", "creator_did", "creator_handle"),
    ("starter_pack_members", "did", "handle"),
    ("profiles", "did", "handle"),
    ("author_feed", "author_did", "author_handle"),
)
"""Where the raw layer has a handle in a column, and whose it is.

An event is no such place: it has what an account's own server says, which may be anybody's handle, and all texts that
name that one would lose it. The next pull shows what the service has found to be true.
"""

_SERVED: Final = (STARTER_PACKS, STARTER_PACK_MEMBERS, PROFILES, AUTHOR_FEED)
"""Where `raw` is what the service said. Elsewhere it is what people wrote."""


@dataclass
class Rewritten:
    """What was done to a table.

    Attributes:
        removed: Rows that went.
        changed: Rows of others from which something was taken.
        files: Files that were written anew.
    """

    removed: int = 0
    changed: int = 0
    files: int = 0

    def add(self, other: Rewritten) -> None:
        """Add what was done elsewhere."""
        self.removed += other.removed
        self.changed += other.changed
        self.files += other.files


class LakeFiles:
    """The files of a lake, for DuckDB and for fsspec alike."""

    def __init__(self, pipeline: dlt.Pipeline, settings: DuckDBSettings) -> None:
        """List them.

        Args:
            pipeline: Any pipeline of the lake.
            settings: How DuckDB reads it.
        """
        client = filesystem_client(pipeline)
        self._settings = settings
        self._files = client.fs_client
        self._files.invalidate_cache()
        self._root = client.dataset_path.rstrip("/")
        self._tables: dict[str, list[str]] = {}
        for path in sorted(map(str, self._files.find(self._root))):
            table, _, name = path.removeprefix(f"{self._root}/").partition("/")
            if name.endswith(".parquet"):
                self._tables.setdefault(table, []).append(path)

    @property
    def tables(self) -> Iterable[str]:
        """The tables that have Parquet files."""
        return self._tables

    def did_of(self, handle: str) -> str | None:
        """Find whose a handle was when the service showed it last, in columns or, of others, in `raw`."""
        with self._connection() as connection:
            found: list[tuple[object, str]] = []
            for table, did, name in self._with_handles():
                found += self._last_with(connection, handle, table, did, name)
            if not found:
                for table in self._with_views():
                    found += self._last_shown_with(connection, handle, table)
        return max(found, key=str)[1] if found else None

    def _last_with(
        self, connection: duckdb.DuckDBPyConnection, handle: str, table: str, did: str, name: str
    ) -> list[tuple[object, str]]:
        query = (
            f"select observed_at, {did} from {self._relation(table)}"
            f" where lower({name}) = $1 and {did} is not null order by observed_at desc limit 1"
        )
        return connection.execute(query, [handle]).fetchall()

    def _last_shown_with(
        self, connection: duckdb.DuckDBPyConnection, handle: str, table: str
    ) -> list[tuple[object, str]]:
        rows = connection.execute(
            f"select observed_at, raw from {self._relation(table)}"
            " where contains(lower(raw), $1) order by observed_at desc",
            [handle],
        )
        while some := rows.fetchmany(_VIEWS_AT_ONCE):
            for observed_at, raw in some:
                for did, shown in served_names(raw):
                    if shown == handle:
                        return [(observed_at, did)]
        return []

    def handles_of(self, did: str) -> tuple[set[str], set[str]]:
        """Find all handles that the lake knows of somebody.

        Returns:
            Those that are theirs alone, and those that somebody else has had too: where these stand in a text, nobody
            can tell whom they mean.
        """
        with self._connection() as connection:
            handles: set[str] = set()
            for table, whose, name in self._with_handles():
                query = f"select distinct {name} from {self._relation(table)} where {whose} = $1 and {name} is not null"
                handles |= {normalized(handle) for (handle,) in connection.execute(query, [did]).fetchall()}
            for table in self._with_views():
                rows = connection.execute(f"select raw from {self._relation(table)} where contains(raw, $1)", [did])
                while some := rows.fetchmany(_VIEWS_AT_ONCE):
                    for (raw,) in some:
                        handles |= {normalized(handle) for whose, handle in served_names(raw) if whose == did}
            handles = {handle for handle in handles if "." in handle} - {FORGOTTEN_HANDLE}
            shared: set[str] = set()
            for table, whose, name in self._with_handles():
                query = (
                    f"select distinct lower({name}) from {self._relation(table)}"
                    f" where {whose} != $1 and lower({name}) in (select unnest($2::varchar[]))"
                )
                shared |= {handle for (handle,) in connection.execute(query, [did, sorted(handles)]).fetchall()}
        return handles - shared, shared

    def founded_pack_count(self, did: str) -> int:
        """Count the packs and lists in the lake that somebody founded."""
        if STARTER_PACKS.name not in self._tables:
            return 0
        query = f"select count(distinct uri) from {self._relation(STARTER_PACKS.name)} where creator_did = $1"
        with self._connection() as connection:
            (count,) = connection.execute(query, [did]).fetchone() or (0,)
        return int(count)

    def forget(self, table: str, identifiers: Iterable[str], *, is_dry_run: bool) -> Rewritten:
        """Take a person out of a table.

        Args:
            table: Its name.
            identifiers: Their DID and handles, normalized.
            is_dry_run: Whether to count only.
        """
        names = frozenset(identifiers)
        scrubber, done = Scrubber.of(names), Rewritten()
        named = list(self._rows_that_name(table, names))

        def rewrite(file: tuple[str, set[int]]) -> Rewritten:
            return self._rewrite(file[0], scrubber, _TABLES.get(table), file[1], is_dry_run=is_dry_run)

        with ThreadPoolExecutor(_FILES_AT_ONCE) as threads:
            for part in threads.map(rewrite, named):
                done.add(part)
        return done

    def _connection(self) -> closing[duckdb.DuckDBPyConnection]:
        connection = duckdb.connect(config={"memory_limit": self._settings.memory_limit})
        self._settings.configure(connection)
        return closing(connection)

    def _relation(self, table: str) -> str:
        files = [self._settings.lake_path + path.removeprefix(self._root) for path in self._tables[table]]
        quoted = ", ".join("'" + as_pattern(file).replace("'", "''") + "'" for file in files)
        return (
            f"read_parquet([{quoted}], filename = true, file_row_number = true, union_by_name = true,"
            " hive_partitioning = false)"
        )

    def _with_handles(self) -> list[tuple[str, str, str]]:
        return [columns for columns in _HANDLE_COLUMNS if columns[0] in self._tables]

    def _with_views(self) -> list[str]:
        return [table.name for table in _SERVED if table.name in self._tables]

    def _rows_that_name(self, table: str, names: frozenset[str]) -> Iterator[tuple[str, set[int]]]:
        """Find the files that may name somebody, with the numbers of the rows in them."""
        # A DID's own part is enough, and its case is what it is; of handles, people write any case.
        needles = sorted(name.rpartition(":")[2] for name in names)
        as_written = {name.rpartition(":")[2] for name in names if name.startswith("did:plc:")}
        has_raw = "raw" in (_TABLES[table].schema.names if table in _TABLES else ())
        with self._connection() as connection:
            columns = connection.execute(f"describe select * from {self._relation(table)}").fetchall()
            conditions = []
            for name, kind, *_ in columns:
                if name == "filename" or not ("VARCHAR" in kind or "JSON" in kind):
                    continue
                text = f'"{name}"' if kind == "VARCHAR" else f'"{name}"::varchar'
                tests = [
                    f"contains({text if needle in as_written else f'lower({text})'}, ${number})"
                    for number, needle in enumerate(needles, start=1)
                ]
                # JSON may write letters as numbers; nobody does, and whoever does is read letter by letter.
                tests.append(f"contains({text}, '\\u00')")
                # What is nested was read out of `raw`, and to write it out for a search costs most.
                is_in_raw = has_raw and kind != "VARCHAR"
                conditions.append(f"({'raw is null and ' if is_in_raw else ''}({' or '.join(tests)}))")
            if not conditions:
                return
            found = connection.execute(
                f"select filename, list(file_row_number) from {self._relation(table)}"
                f" where {' or '.join(conditions)} group by filename order by filename",
                needles,
            )
            for file, numbers in found.fetchall():
                yield self._root + file.removeprefix(self._settings.lake_path), set(numbers)

    def _rewrite(
        self,
        path: str,
        scrubber: Scrubber,
        table: RawTable | None,
        numbers: set[int],
        *,
        is_dry_run: bool,
    ) -> Rewritten:
        done, begin = Rewritten(), 0
        # Only what is clean is ever written beside: where a crash leaves it, it names nobody.
        with tempfile.TemporaryDirectory() as local:
            written = Path(local, path.rpartition("/")[2])
            with self._files.open(path, "rb") as source, pq.ParquetFile(source) as file:
                schema = file.schema_arrow
                with pq.ParquetWriter(written, schema, compression="zstd") as writer:
                    for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
                        rows = pa.Table.from_batches([batch]).replace_schema_metadata(schema.metadata)
                        named = [number in numbers for number in range(begin, begin + len(rows))]
                        writer.write_table(_without(rows, named, scrubber, table, done))
                        begin += len(rows)
            if done == Rewritten():
                return done
            done.files = 1
            if not is_dry_run:
                self._files.put_file(str(written), path)
        return done


def _without(
    rows: pa.Table, named: list[bool], scrubber: Scrubber, table: RawTable | None, done: Rewritten
) -> pa.Table:
    if not any(named):
        return rows
    before: list[dict[str, Any]] = rows.filter(pa.array(named)).to_pylist()
    after = [scrubber.row(table, row) for row in before]
    done.removed += sum(row is None for row in after)
    done.changed += sum(new is not None and new is not old for old, new in zip(before, after, strict=True))
    kept = table_of([row for row in after if row is not None], rows.schema)
    return pa.concat_tables([rows.filter(pa.array([not is_named for is_named in named])), kept])
