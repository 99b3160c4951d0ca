"""A DuckDB database into which marts are exported: a file that can be passed on, or one that MotherDuck hosts."""

from __future__ import annotations

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

_SCHEMA: Final = "marts"
"""The schema that exports have for themselves: whatever else is in a hosted database is left alone."""


def is_hosted(place: str) -> bool:
    """Tell whether a database is on MotherDuck."""
    return place.startswith(HOSTED)


def file_of(place: str) -> Path:
    """Find the file of a database on this machine; a relative path starts at the project's root."""
    return Path(active().local_dir) / Path(place).expanduser()


def schema_of(place: str) -> str:
    """Name the schema of a hosted database that exports have for themselves, as SQL does.

    With the database's name before it: a database of the schema's name would be meant else.
    """
    return f"{_name_of(place)}.{_SCHEMA}"


def _name_of(place: str) -> str:
    return '"' + place.removeprefix(HOSTED).replace('"', '""') + '"'


@contextmanager
def open_hosted(place: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open what hosts a database; the database is made if it is not there.

    Args:
        place: `md:` and its name.

    Raises:
        LakeError: It cannot be opened. The message has no token.
    """
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
    """Take away what was exported to the database that the settings name, if they name one.

    Raises:
        LakeError: It cannot be.
    """
    place = dlt.config.get("export.database", str)
    if not place:
        return
    if not is_hosted(place):
        file_of(place).unlink(missing_ok=True)
        return
    with open_hosted(place) as database:
        try:
            database.execute(f"drop schema if exists {schema_of(place)} cascade")
        except duckdb.Error as error:
            raise LakeError(f"{place} keeps what was exported: {str(error).splitlines()[0]}") from error
