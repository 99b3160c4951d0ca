"""Marts as files, written by DuckDB's own `COPY`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import duckdb

from pipelines.exports.columns import Meaning
from pipelines.exports.marts import quoted
from pipelines.exports.target import whole

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pyarrow as pa

    from pipelines.exports.columns import Column
    from pipelines.exports.marts import Mart
    from pipelines.exports.pseudonyms import Pseudonyms

_T = TypeVar("_T")

Format = Literal["parquet", "csv", "jsonl"]

_OPTIONS: Final[dict[Format, str]] = {
    "parquet": "format parquet, compression zstd",
    "csv": "format csv, header, timestampformat '%Y-%m-%dT%H:%M:%S.%fZ'",
    "jsonl": "format json, timestampformat '%Y-%m-%dT%H:%M:%S.%fZ'",
}
FORMATS: Final = tuple(_OPTIONS)

_ROWS_AT_ONCE: Final = 20_000

# https://owasp.org/www-community/attacks/CSV_Injection: what spreadsheets take for the beginning of a formula, in any
# width, and the white space, seen or not, that some of them skip before one.
FORMULA: Final = r"^[\s\x0b\pZ\x{200b}\x{feff}]*[=+\-@＝＋－＠]|^[\t\r\n]"  # noqa: RUF001


@dataclass(frozen=True)
class WrittenTable:
    """A mart that was written.

    Attributes:
        mart: Which.
        file: The file's name.
        row_count: Its rows.
        byte_count: Its size.
    """

    mart: Mart
    file: str
    row_count: int
    byte_count: int


def write_table(
    marts: duckdb.DuckDBPyConnection, mart: Mart, form: Format, folder: Path, pseudonyms: Pseudonyms | None = None
) -> WrittenTable:
    """Write a mart as a file of its own; an earlier one stays until the new one is whole.

    Args:
        marts: The warehouse, with times in UTC.
        mart: What of it is written.
        form: The kind of file.
        folder: Where to.
        pseudonyms: Gives people other names, if they are to have such.
    """
    file = f"{mart.name}.{form}"
    with whole(folder / file) as unfinished:
        if pseudonyms is None:
            counted = _copy(marts, mart, mart.query, form, unfinished)
        else:
            counted = _copy_renamed(marts, mart, form, unfinished, pseudonyms)
    return WrittenTable(mart, file, counted, (folder / file).stat().st_size)


def rows_of(marts: duckdb.DuckDBPyConnection, mart: Mart, pseudonyms: Pseudonyms | None) -> pa.RecordBatchReader:
    """Read what is exported of a mart.

    Args:
        marts: The warehouse.
        mart: What of it is read.
        pseudonyms: Gives people other names, if they are to have such.
    """
    if pseudonyms is None:
        return marts.execute(mart.query).to_arrow_reader(_ROWS_AT_ONCE)
    # In no order: that of DIDs, in which many marts are, would tell who is who.
    rows = marts.execute(f"from ({mart.query}) order by random()").to_arrow_reader(_ROWS_AT_ONCE)
    return pseudonyms.reader(rows, mart.columns)


def interruptible(connection: duckdb.DuckDBPyConnection, work: Callable[[], _T]) -> _T:
    """Let a connection read what Python makes, and hear signals meanwhile.

    DuckDB, while it does so, hears none: another thread works, and the main one waits.
    """
    with ThreadPoolExecutor(1, "export") as thread:
        done = thread.submit(work)
        try:
            return done.result()
        except BaseException:
            connection.interrupt()
            raise


def _copy_renamed(
    marts: duckdb.DuckDBPyConnection, mart: Mart, form: Format, path: Path, pseudonyms: Pseudonyms
) -> int:
    with duckdb.connect() as copying:
        copying.execute("set timezone = 'UTC'; set enable_progress_bar = false")
        copying.register("renamed", rows_of(marts, mart, pseudonyms))
        return interruptible(copying, lambda: _copy(copying, mart, "from renamed", form, path))


def _copy(connection: duckdb.DuckDBPyConnection, mart: Mart, query: str, form: Format, path: Path) -> int:
    """Write the rows of a query, and count them."""
    if form == "csv":
        cells = ", ".join(f"{_in_csv(column)} as {quoted(column.name)}" for column in mart.columns)
        query = f"select {cells} from ({query})"
    options = _OPTIONS[form]
    texts = ", ".join(quoted(column.name) for column in mart.columns if _is_text(column))
    if form == "csv" and texts:
        # Where a spreadsheet separates cells by `;`, what stands behind one within a text would be a cell.
        options += f", force_quote ({texts})"
    to = str(path).replace("'", "''")
    counted = connection.execute(f"copy ({query}) to '{to}' ({options})").fetchone()
    return int(counted[0]) if counted else 0


def _is_text(column: Column) -> bool:
    """Tell whether a column has what people write as they like."""
    return column.data_type == "VARCHAR" and column.meaning not in (Meaning.OURS, Meaning.PERSON, Meaning.RECORD)


def _in_csv(column: Column) -> str:
    """Write a cell so that nobody's words are run as a formula, and lists as JSON."""
    cell = quoted(column.name)
    if column.is_list:
        return f"cast(to_json({cell}) as varchar)"
    if column.data_type != "VARCHAR" or column.meaning is Meaning.OURS:
        return cell
    return f"case when regexp_matches({cell}, '{FORMULA}') then '''' || {cell} else {cell} end"
