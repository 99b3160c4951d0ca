"""Marts as the tables of another DuckDB database, with dbt's descriptions of them and of their columns."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from pipelines.exports.marts import ExportError, quoted
from pipelines.exports.tables import interruptible, rows_of
from pipelines.exports.target import whole
from pipelines.lake.marts_database import ABOUT, file_of, is_export, is_hosted, open_hosted, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipelines.exports.marts import Mart
    from pipelines.exports.pseudonyms import Pseudonyms


@dataclass(frozen=True)
class Database:
    """A database to be filled.

    Attributes:
        connection: Writes to it.
        schema: Where the tables go, as SQL names it.
    """

    connection: duckdb.DuckDBPyConnection
    schema: str


@contextmanager
def open_database(place: str) -> Iterator[Database]:
    """Open a database to be filled; what was exported to it before stays until it is filled.

    Args:
        place: A file's path, or `md:` and the name of a database on MotherDuck.

    Raises:
        ExportError: There is a file that is no export, or none can be made.
        LakeError: The hosted database cannot be opened, or another program writes to the file.
    """
    if is_hosted(place):
        with open_hosted(place) as connection:
            yield Database(connection, schema_of(place))
        return
    path = file_of(place)
    if path.exists() and not is_export(path):
        raise ExportError(f"{path} is there and is no export: name another file, or remove it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"The folder {path.parent} cannot be made: {error.strerror}.") from error
    _expect_no_other_export(path)
    with whole(path) as unfinished:
        unfinished.unlink(missing_ok=True)
        with closing(duckdb.connect(str(unfinished))) as connection:
            yield Database(connection, "main")
        # What somebody wrote into the export of before, and DuckDB would take for a part of the new one.
        Path(f"{path}.wal").unlink(missing_ok=True)


def _expect_no_other_export(path: Path) -> None:
    unfinished = path.with_name(f".{path.name}.partial")
    if unfinished.exists():
        is_export(unfinished)


def fill(
    database: Database,
    marts: duckdb.DuckDBPyConnection,
    chosen: Sequence[Mart],
    note: str,
    pseudonyms: Pseudonyms | None = None,
) -> Iterator[int]:
    """Replace all that was exported, in one transaction; whoever reads meanwhile sees the export of before.

    Args:
        database: What is filled.
        marts: The warehouse, with times in UTC.
        chosen: What of it is exported.
        note: What the export is, in a sentence.
        pseudonyms: Gives people other names, if they are to have such.

    Yields:
        The rows of each mart, once it is written.
    """
    connection, schema = database.connection, database.schema
    connection.execute("set timezone = 'UTC'; set enable_progress_bar = false; begin")
    if schema != "main":
        connection.execute(f"drop schema if exists {schema} cascade; create schema {schema}")
    for mart in chosen:
        yield _write(database, marts, mart, pseudonyms)
    connection.execute(f"create table {schema}.{ABOUT} as select $1::varchar as note, now() as exported_at", [note])
    connection.execute("commit")


def _write(database: Database, marts: duckdb.DuckDBPyConnection, mart: Mart, pseudonyms: Pseudonyms | None) -> int:
    connection, table = database.connection, f"{database.schema}.{quoted(mart.name)}"
    connection.register("exported_rows", rows_of(marts, mart, pseudonyms))
    create = f"create table {table} as from exported_rows"
    counted = interruptible(connection, lambda: connection.execute(create).fetchone())
    connection.unregister("exported_rows")
    comments = [f"comment on table {table} is {_text(mart.description)}"]
    comments += [
        f"comment on column {table}.{quoted(column.name)} is {_text(column.description)}" for column in mart.columns
    ]
    connection.execute("; ".join(comments))
    return int(counted[0]) if counted else 0


def _text(words: str) -> str:
    return "'" + words.replace("'", "''") + "'"
