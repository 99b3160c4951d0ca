"""The compaction of `_dlt_loads`, to which dlt adds a file with each load and which it never reads.

A row names its load, and a file that dlt wrote is named after its load. So the rows of a compacted file tell what it
replaces: every file all of whose loads it has. Whoever reads both sees a load twice, which is the same load.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from pipelines.lake.tables import REPO_EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipelines.lake.compacted import CompactionRun

_Rows: TypeAlias = dict[str, dict[str, Any]]
_NONE: Final = frozenset[str]()
_FOLDER: Final = "_dlt_loads"
_LIVE_SCHEMA: Final = REPO_EVENTS.name
_OF_DLT: Final = re.compile(rf"{_FOLDER}/([^/]+?)__([0-9]{{9,11}}\.[0-9]+)\.jsonl")
_COMPACTED: Final = re.compile(
    rf"{_FOLDER}/([^/]+?)__([0-9]{{4}}-[0-9]{{2}}(?:-[0-9]{{2}})?)\.compact-([0-9]+)-[0-9a-f]+\.jsonl"
)


@dataclass(frozen=True)
class LoadFiles:
    """Files of loads that may be put together.

    Attributes:
        schema: Whose loads: the name of dlt's schema.
        span: The month or the day in which they began.
        paths: Below the data set.
    """

    schema: str
    span: str
    paths: list[str] = field(default_factory=list)

    @property
    def is_month(self) -> bool:
        """Whether it is a month that has ended, not a day."""
        return self.span.count("-") == 1

    @property
    def is_due(self) -> bool:
        """Whether a month that has ended has more than the file of that month."""
        of_month = f"{_FOLDER}/{self.schema}__{self.span}.compact-"
        return self.is_month and len(self.paths) > 1 and not all(path.startswith(of_month) for path in self.paths)


def groups_of_loads(paths: Iterable[str], this_month: str) -> list[LoadFiles]:
    """Find the files of months that have ended, and those of the live job's days.

    Args:
        paths: The data set's files.
        this_month: The month that has not ended.
    """
    groups: dict[tuple[str, str], LoadFiles] = {}
    for path in paths:
        if written := _OF_DLT.fullmatch(path):
            schema, day = written[1], f"{datetime.fromtimestamp(float(written[2]), UTC):%Y-%m-%d}"
        elif compacted := _COMPACTED.fullmatch(path):
            schema, day = compacted[1], compacted[2]
        else:
            continue
        if (month := day[:7]) >= this_month and schema != _LIVE_SCHEMA:
            continue
        span = day if month >= this_month else month
        groups.setdefault((schema, span), LoadFiles(schema, span)).paths.append(path)
    return list(groups.values())


def compact_loads(run: CompactionRun, group: LoadFiles) -> None:
    """Delete what was replaced long enough ago, and put together what is left.

    Args:
        run: Under way.
        group: Which files.
    """
    rows = {path: _rows_of(run, path) for path in group.paths if _COMPACTED.fullmatch(path)}
    # What cannot be read is no reason to delete anything, and stays.
    loads = {path: frozenset(part) for path, part in rows.items() if part}
    loads |= {path: frozenset({found[2]}) for path in group.paths if (found := _OF_DLT.fullmatch(path))}
    left = []
    for path, its_loads in loads.items():
        since = [_age(other) for other in rows if _age(path) < _age(other) and its_loads <= loads.get(other, _NONE)]
        if since:
            run.remove_replaced([path], min(since)[0])
        else:
            left.append(path)
    if len(left) > 1:
        _put_together(run, group, {path: rows.get(path) or _rows_of(run, path) for path in left})


def _age(path: str) -> tuple[int, str]:
    """Tell when a file was compacted; what dlt wrote is older than all compacted ones."""
    compacted = _COMPACTED.fullmatch(path)
    return int(compacted[3]) if compacted else 0, path


def _put_together(run: CompactionRun, group: LoadFiles, parts: dict[str, _Rows]) -> None:
    parts = {path: part for path, part in parts.items() if part}
    if len(parts) < 2:
        return
    together = {load: row for part in parts.values() for load, row in part.items()}
    content = "".join(f"{json.dumps(together[load])}\n" for load in sorted(together, key=float))
    name = f"{group.schema}__{group.span}.compact-{int(run.now)}-{uuid.uuid4().hex[:10]}.jsonl"
    run.held.renew()
    run.files.pipe_file(run.place(f"{_FOLDER}/{name}"), content.encode())
    run.count_written(len(parts))


def _rows_of(run: CompactionRun, path: str) -> _Rows:
    """Read a file's rows by their loads; none, where it is not what it is named."""
    content = run.files.cat_file(run.place(path))
    try:
        rows = {row["load_id"]: row for row in map(json.loads, content.decode().splitlines())}
        of_dlt = _OF_DLT.fullmatch(path)
        if rows and (of_dlt is None or rows.keys() == {of_dlt[2]}) and all(map(float, rows)):
            return rows
        reason = "its rows are of other loads than its name"
    except (ValueError, LookupError, TypeError) as error:
        reason = str(error)
    run.done.damaged[run.place(path)] = reason
    return {}
