"""dlt's own files in the lake that cannot be read: each is named and removed, so that the one before it counts.

dlt reads the newest state and the newest schema, and every run of a pipeline fails where one of them is damaged. An
older state has older cursors, by which more is asked for than is missing; a schema's columns come again with the rows.
"""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any, Final

from dlt.common.versioned_state import decompress_state

from pipelines.lake.bucket import filesystem_client

if TYPE_CHECKING:
    from collections.abc import Callable

    import dlt


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


def _read_state(stored: dict[str, Any]) -> None:
    decompress_state(stored["state"])["pipeline_name"]


def _read_schema(stored: dict[str, Any]) -> None:
    json.loads(stored["schema"])["name"]


_READ_BY_DLT: Final[dict[str, tuple[Callable[[dict[str, Any]], None], str]]] = {
    "_dlt_pipeline_state": (_read_state, "the state before it counts, and what came since is asked for again."),
    "_dlt_version": (_read_schema, "the schema is written again with the next load."),
}
