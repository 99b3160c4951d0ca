"""Taking a person, the words of deleted posts, or an old `raw` out of the lake's Parquet files.

DuckDB finds the rows that hold them, in all files of a table at once and within its memory limit. Only files that hold
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
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.lake.bucket import LakeError, filesystem_client, is_file_missing
from pipelines.lake.damaged import read_rows
from pipelines.lake.deleted_posts import URI_COLUMNS
from pipelines.lake.duckdb_settings import as_pattern
from pipelines.lake.names_in_texts import ENCODED_IN_NAMES, PERCENT, pattern_of
from pipelines.lake.scrubbing import FORGOTTEN_HANDLE, Row, Scrubber, normalized, table_of
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
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    import dlt

    from pipelines.lake.deleted_posts import DeletedPosts
    from pipelines.lake.duckdb_settings import DuckDBSettings
    from pipelines.lake.lease import Lease

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
    ("reactions", "actor_did", "actor_handle"),
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

    def __init__(self, pipeline: dlt.Pipeline, settings: DuckDBSettings, held: Lease | None = None) -> None:
        """List them.

        Args:
            pipeline: Any pipeline of the lake.
            settings: How DuckDB reads it.
            held: The lease to write files by. Without one nothing is written: what would change is counted.
        """
        client = filesystem_client(pipeline)
        self._held = held
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

    def forget(self, table: str, identifiers: Iterable[str]) -> Rewritten:
        """Take a person out of a table.

        Args:
            table: Its name.
            identifiers: Their DID and handles, normalized.
        """
        names = frozenset(identifiers)
        change = partial(Scrubber.of(names).row, _TABLES.get(table))
        return self._change_rows(self._rows_that_name(table, names), change)

    def forget_posts(self, table: str, posts: DeletedPosts) -> Rewritten:
        """Take the words of deleted posts out of a table.

        Args:
            table: Its name.
            posts: Which.
        """
        return self._change_rows(self._rows_of_posts(table, posts), partial(posts.row, _TABLES.get(table)))

    def drop_raw(self, table: str, before: datetime) -> Rewritten:
        """Take `raw` out of the rows that were observed before a time.

        Args:
            table: Its name.
            before: The time.
        """
        done = Rewritten()
        for path, row_count in self._with_raw(table, before):
            self._rewrite(path, lambda rows, _: _without_raw(rows, before))
            done.add(Rewritten(changed=row_count, files=1))
        return done

    def have_raw(self, before: datetime) -> bool:
        """Tell whether any row has `raw` that was observed before a time."""
        return any(self._with_raw(table, before) for table in self.tables)

    def _with_raw(self, table: str, before: datetime) -> list[tuple[str, int]]:
        """Find the files, and how many rows of each have `raw` that were observed before a time."""
        if table not in _TABLES or "raw" not in _TABLES[table].schema.names:
            return []
        query = (
            f"select filename, count(*) from {self._relation(table)}"
            " where observed_at < $1 and raw is not null group by filename order by filename"
        )
        with self._connection() as connection:
            return [(self._path(file), rows) for file, rows in connection.execute(query, [before]).fetchall()]

    def _change_rows(
        self,
        found: Iterable[tuple[str, set[int]]],
        change: Callable[[Row], Row | None],
    ) -> Rewritten:
        """Change rows of files that are given with their numbers; a row for which nothing comes goes."""

        def rewrite(file: tuple[str, set[int]]) -> Rewritten:
            path, numbers = file
            done = Rewritten()
            is_changed = self._rewrite(path, lambda rows, begin: _changed(rows, begin, numbers, change, done))
            done.files = int(is_changed)
            return done

        done = Rewritten()
        with ThreadPoolExecutor(_FILES_AT_ONCE) as threads:
            for part in threads.map(rewrite, list(found)):
                done.add(part)
        return done

    @contextmanager
    def _connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        memory_limit = self._settings.memory_limit
        with (
            # By itself, DuckDB would spill into the folder in which the command was started.
            tempfile.TemporaryDirectory() as spilled,
            closing(duckdb.connect(config={"memory_limit": memory_limit, "temp_directory": spilled})) as connection,
        ):
            self._settings.configure(connection)
            try:
                yield connection
            except duckdb.Error as error:
                # DuckDB names a damaged file or not, as its damage is. Whom it names, nobody can tell.
                for path in chain(*self._tables.values()):
                    read_rows(self._files, path)
                if is_file_missing(error):
                    raise LakeError(
                        f"The lake that dbt reads is not the one that dlt writes: of the files that dlt finds in "
                        f"{self._root}, DuckDB misses some in {self._settings.lake_path}. Compare the settings of both."
                    ) from error
                raise

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
        # A DID's own part is enough.
        patterns = [pattern_of(needle) for needle in sorted({name.rpartition(":")[2] for name in names})]
        has_raw = "raw" in (_TABLES[table].schema.names if table in _TABLES else ())
        with self._connection() as connection:
            columns = connection.execute(f"describe select * from {self._relation(table)}").fetchall()
        conditions = []
        for name, kind, *_ in columns:
            if name == "filename" or not ("VARCHAR" in kind or "JSON" in kind):
                continue
            condition = may_name(f'"{name}"' if kind == "VARCHAR" else f'"{name}"::varchar', len(patterns))
            # What is nested was read out of `raw`, and to write it out for a search costs most.
            is_in_raw = has_raw and kind != "VARCHAR"
            conditions.append(f"({'raw is null and ' if is_in_raw else ''}({condition}))")
        if conditions:
            yield from self._rows_where(table, " or ".join(conditions), patterns)

    def _rows_of_posts(self, table: str, posts: DeletedPosts) -> Iterator[tuple[str, set[int]]]:
        """Find the files that may hold words of deleted posts, with the numbers of the rows in them."""
        columns = _TABLES[table].schema.names if table in _TABLES else []
        conditions = [f"regexp_matches({name}, $1)" for name in ("link_uri", "raw") if name in columns]
        parameters: list[object] = [posts.pattern]
        if table in URI_COLUMNS:
            conditions.append(f"{URI_COLUMNS[table]} in (select unnest($2::varchar[]))")
            parameters.append(sorted(posts.uris))
        if conditions:
            yield from self._rows_where(table, " or ".join(conditions), parameters)

    def _rows_where(self, table: str, condition: str, parameters: Sequence[object]) -> Iterator[tuple[str, set[int]]]:
        query = (
            f"select filename, list(file_row_number) from {self._relation(table)}"
            f" where {condition} group by filename order by filename"
        )
        with self._connection() as connection:
            for file, numbers in connection.execute(query, list(parameters)).fetchall():
                yield self._path(file), set(numbers)

    def _path(self, file: str) -> str:
        """Name a file as fsspec does."""
        return self._root + file.removeprefix(self._settings.lake_path)

    def _rewrite(self, path: str, change: Callable[[pa.Table, int], pa.Table]) -> bool:
        """Write a file anew.

        Args:
            path: Which.
            change: Gets some of its rows and the number of the first, and gives them back, the same table if nothing
                has to change.

        Returns:
            Whether anything had to change.
        """
        is_changed, begin = False, 0
        # Only what is clean is ever written beside: where a crash leaves it, it names nobody.
        with tempfile.TemporaryDirectory() as local:
            written = Path(local, path.rpartition("/")[2])
            with self._files.open(path, "rb") as source, pq.ParquetFile(source) as file:
                schema = file.schema_arrow
                with pq.ParquetWriter(written, schema, compression="zstd") as writer:
                    for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
                        rows = pa.Table.from_batches([batch]).replace_schema_metadata(schema.metadata)
                        kept = change(rows, begin)
                        is_changed |= kept is not rows
                        writer.write_table(kept)
                        begin += len(rows)
            if is_changed and self._held:
                self._held.renew()
                self._files.put_file(str(written), path)
        return is_changed


def may_name(text: str, pattern_count: int) -> str:
    """Write the condition that a text may match one of the patterns; what only Python can read counts as a match."""

    def matches(written: str) -> str:
        # Each by itself: DuckDB is quick with many small patterns, and slow with a large one.
        return " or ".join(f"regexp_matches({written}, ${number})" for number in range(1, pattern_count + 1))

    # A percent sign may be encoded again and again. The parameter of the lambda is what is decoded once for all.
    decoded = f"try(url_decode(regexp_replace({text}, '{PERCENT}(25)*', '%', 'g')))"
    is_named = f"{matches('decoded')} or regexp_matches(decoded, '%[0-9A-Fa-f]{{2}}')"
    in_decoded = f"coalesce(list_bool_or(list_transform([{decoded}], lambda decoded: {is_named})), true)"
    # JSON may write letters as numbers; nobody does, and whoever does is read letter by letter.
    return (
        f"{matches(text)} or contains({text}, '\\u') or (regexp_matches({text}, '{ENCODED_IN_NAMES}') and {in_decoded})"
    )


def _changed(
    rows: pa.Table, begin: int, numbers: set[int], change: Callable[[Row], Row | None], done: Rewritten
) -> pa.Table:
    """Change the rows of the given numbers. All stay in their order: the warehouse knows them by it."""
    named = [number in numbers for number in range(begin, begin + len(rows))]
    if not any(named):
        return rows
    before: list[Row] = rows.filter(pa.array(named)).to_pylist()
    after = [change(row) for row in before]
    if all(new is old for old, new in zip(before, after, strict=True)):
        return rows
    done.removed += sum(row is None for row in after)
    done.changed += sum(new is not None and new is not old for old, new in zip(before, after, strict=True))
    changed = table_of([row for row in after if row is not None], rows.schema)
    # The changed rows stand behind the old ones, and each is taken from there.
    next_changed, left = count(len(rows)), iter(after)
    order = [
        number if not is_named else next(next_changed)
        for number, is_named in enumerate(named)
        if not is_named or next(left) is not None
    ]
    return pa.concat_tables([rows, changed]).take(pa.array(order, pa.int64()))


def _without_raw(rows: pa.Table, before: datetime) -> pa.Table:
    """Take `raw` out of old rows."""
    position = rows.schema.get_field_index("raw")
    is_old = pc.less(rows["observed_at"], pa.scalar(before, rows.schema.field("observed_at").type))
    if not pc.any(pc.and_(is_old, pc.is_valid(rows["raw"]))).as_py():
        return rows
    kept = pc.if_else(is_old, pa.scalar(None, rows["raw"].type), rows["raw"])
    return rows.set_column(position, rows.schema.field(position), kept)
