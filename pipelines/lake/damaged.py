"""Files of the lake that cannot be read: each is named.

dlt reads the newest state and the newest schema, and every run of a pipeline fails where one of them is damaged. They
are removed, so that the one before counts: an older state has older cursors, by which more is asked for than is
missing; a schema's columns come again with the rows. A table's file has what nothing else has, and is left as it is.
"""

from __future__ import annotations

import json
import re
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.versioned_state import decompress_state

from pipelines.lake.bucket import LakeError, filesystem_client

if TYPE_CHECKING:
    from collections.abc import Callable

    import dlt

_STATES: Final = "_dlt_pipeline_state"
_LOAD_ID: Final = re.compile(r"__([0-9]+(?:\.[0-9]+)?)__")
_A_DAY: Final = 86_400


class DamagedFileError(LakeError):
    """A table's file cannot be read.

    Attributes:
        path: Its path.
        reason: Why.
    """

    def __init__(self, path: str, error: Exception) -> None:
        self.path = path
        self.reason = next(iter(str(error).splitlines()), type(error).__name__)
        super().__init__(f"{path} is damaged ({self.reason}). Put a copy of it there, or take it away.")


def read_rows(files: Any, path: str, columns: list[str] | None = None) -> pa.Table:
    """Read a table's file.

    Args:
        files: dlt's file system of the lake.
        path: Where the file is.
        columns: Those to read, as far as the file has them; all if not given.

    Raises:
        DamagedFileError: It cannot be read.
    """
    content = files.cat_file(path)  # What the bucket has to say is no damage of the file.
    try:
        return pq.ParquetFile(pa.BufferReader(content)).read(columns)
    except (pa.ArrowException, OSError) as error:
        raise DamagedFileError(path, error) from error


def remove_damaged_files(pipeline: dlt.Pipeline) -> list[str]:
    """Remove the states and schemas that cannot be read.

    Args:
        pipeline: Any pipeline of the lake; the states of the others are looked at as well.

    Returns:
        A line for each, with what it was and what follows.
    """
    client = filesystem_client(pipeline)
    files, root = client.fs_client, client.dataset_path.rstrip("/")
    files.invalidate_cache()
    said = []
    for table, (read, what_follows) in _READ_BY_DLT.items():
        for path in map(str, files.find(f"{root}/{table}/")):
            if not path.endswith(".jsonl"):
                continue
            content = files.cat_file(path)
            try:
                read(json.loads(content))
            except (ValueError, LookupError, TypeError, zlib.error) as error:
                files.rm_file(path)
                said.append(f"{path} was damaged ({error}) and is removed: {what_follows}")
    return said


def loads_to_come(pipeline: dlt.Pipeline, now: float) -> list[str]:
    """Name loads of a time to come, which a machine's clock was at when it was wrong.

    dlt takes the state of the highest load ID for its newest, and models the newest observation for now: no later load
    counts until such a one is taken out.

    Args:
        pipeline: Any pipeline of the lake; the loads of the others are looked at as well.
        now: Seconds since 1970.

    Returns:
        A line for each.
    """
    client = filesystem_client(pipeline)
    names = (str(path).rpartition("/")[2] for path in client.fs_client.find(client.get_table_dir(_STATES)))
    to_come = sorted(
        {found for name in names for found in _LOAD_ID.findall(name) if float(found) > now + _A_DAY}, key=float
    )
    return [
        f"The load {load_id} is of a time to come ({_day(float(load_id))}): a clock was wrong, and what it stored"
        " counts as the newest for ever. docs/architecture.md says, under “The clock”, which files to delete."
        for load_id in to_come
    ]


def _day(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (OverflowError, ValueError):
        return "after the year 9999"


def _read_state(stored: dict[str, Any]) -> None:
    decompress_state(stored["state"])["pipeline_name"]


def _read_schema(stored: dict[str, Any]) -> None:
    json.loads(stored["schema"])["name"]


_READ_BY_DLT: Final[dict[str, tuple[Callable[[dict[str, Any]], None], str]]] = {
    _STATES: (_read_state, "the state before it counts, and what came since is asked for again."),
    "_dlt_version": (_read_schema, "the schema is written again with the next load."),
}
