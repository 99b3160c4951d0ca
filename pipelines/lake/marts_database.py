"""A DuckDB database into which marts are exported: a file that can be passed on, or one that MotherDuck hosts."""

from __future__ import annotations

import re
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dlt
import duckdb
from dlt.common.runtime.run_context import active

from pipelines.lake.bucket import LakeError

if TYPE_CHECKING:
    from collections.abc import Iterator

HOSTED: Final = "md:"
"""How the address of a database on MotherDuck begins, see
https://motherduck.com/docs/key-tasks/authenticating-and-connecting-to-motherduck/."""

ABOUT: Final = "about"
"""A table of one row: what the export is. A file that has it is one of ours, and may be replaced."""

_SCHEMA: Final = "marts"
"""The schema that exports have for themselves: whatever else is in a hosted database is left alone."""


def is_hosted(place: str) -> bool:
    """Tell whether a database is on MotherDuck."""
    return place.startswith(HOSTED)


def file_of(place: str, root: Path | None = None) -> Path:
    """Find the file of a database on this machine.

    Args:
        place: Its path, as a user writes it.
        root: Where a relative one starts; if none is given, at the project's root.

    Raises:
        LakeError: It is none.
    """
    if "://" in place:
        raise LakeError(f"{place} is no place for a database: it is a file here, or {HOSTED}name on MotherDuck.")
    try:
        return (root or Path(active().local_dir)) / Path(place).expanduser()
    except RuntimeError as error:
        raise LakeError(f"{place}: nobody here has that home folder.") from error


def schema_of(place: str) -> str:
    """Name the schema of a hosted database that exports have for themselves, as SQL does.

    With the database's name before it: a database of the schema's name would be meant else.
    """
    return f"{_name_of(place)}.{_SCHEMA}"


def _name_of(place: str) -> str:
    return '"' + place.removeprefix(HOSTED).replace('"', '""') + '"'


_NAME: Final = re.compile(rf"{HOSTED}[^?/]+")


@contextmanager
def open_hosted(place: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open what hosts a database; the database is made if it is not there.

    Args:
        place: `md:` and its name.

    Raises:
        LakeError: It is no name, or the database cannot be opened. The message has no token.
    """
    if not _NAME.fullmatch(place):
        raise LakeError("A database on MotherDuck is written md:name. Its token is motherduck_token in [export].")
    token = dlt.secrets.get("export.motherduck_token", str)
    try:
        # Without a token, MotherDuck's extension looks for the variable `motherduck_token`.
        connection = duckdb.connect(HOSTED, config={"motherduck_token": token} if token else {})
        connection.execute(f"create database if not exists {_name_of(place)}")
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        reason = reason.replace(token, "...") if token else reason
        raise LakeError(f"The database {place} in [export] cannot be opened: {reason}") from None
    with closing(connection):
        yield connection


def forget_exported() -> None:
    """Take away what nights exported to the database that the settings name, if they name one.

    A file that is no export stays.

    Raises:
        LakeError: It cannot be.
    """
    place = dlt.config.get("export.database", str)
    if not place:
        return
    if is_hosted(place):
        with open_hosted(place) as database:
            try:
                database.execute(f"drop schema if exists {schema_of(place)} cascade")
            except duckdb.Error as error:
                raise LakeError(f"{place} keeps what was exported: {str(error).splitlines()[0]}") from error
        return
    path = file_of(place)
    if path.exists() and not is_export(path):
        return
    for file in (path, path.with_name(f".{path.name}.partial")):
        for written in (file, Path(f"{file}.wal")):
            written.unlink(missing_ok=True)


def is_export(path: Path) -> bool:
    """Tell whether a file is a database that an export made.

    Raises:
        LakeError: Another program writes to it.
    """
    try:
        with closing(duckdb.connect(str(path), read_only=True)) as database:
            return bool(database.execute(f"select note from main.{ABOUT}").fetchone())
    except duckdb.Error as error:
        if "Could not set lock" in str(error):
            raise LakeError(f"{path} is open in another program: close it there, and try again.") from error
        return False
