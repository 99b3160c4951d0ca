"""Who is followed, as the lake has it: what a live run listens to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipelines.lake.bucket import filesystem_client
from pipelines.lake.damaged import read_rows
from pipelines.lake.tables import SOURCE_FILE, STARTER_PACK_MEMBERS, HiddenBecause

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    import dlt

_LATEST_DAYS: Final = 8
"""Days of loads that are looked through: a pack that could not be read last night is still followed."""


@dataclass(frozen=True)
class Members:
    """Whom the lake follows.

    Attributes:
        dids: Everybody who was followed for a pack when it was last pulled.
        pulled_at: When the newest pull looked; None if nothing was pulled yet.
    """

    dids: frozenset[str]
    pulled_at: datetime | None


def read_members(pipeline: dlt.Pipeline, *, follow_blocked: bool = False) -> Members:
    """Read who was in each pack when it was last pulled, without those who had opted out of it.

    Args:
        pipeline: Any pipeline of that lake.
        follow_blocked: Whether members in a block relation with the list's creator are followed.

    Raises:
        DamagedFileError: A file of memberships cannot be read.
    """
    newest: dict[str, tuple[datetime, set[str]]] = {}
    for rows in _latest_days(pipeline):
        for row in rows:
            because = row.get("hidden_because")
            seen_at, dids = newest.get(row["pack_uri"], (row["observed_at"], set()))
            if row["observed_at"] > seen_at:
                seen_at, dids = row["observed_at"], set()
            is_followed = because is None or HiddenBecause(because).is_followed(follow_blocked=follow_blocked)
            if row["observed_at"] == seen_at and is_followed:
                dids.add(row["did"])
            newest[row["pack_uri"]] = (seen_at, dids)
    return Members(
        frozenset().union(*(dids for _, dids in newest.values())),
        max((seen_at for seen_at, _ in newest.values()), default=None),
    )


def _latest_days(pipeline: dlt.Pipeline) -> Iterator[list[dict[str, Any]]]:
    """Give the rows of the newest days, the newest first, also where a month of days was compacted."""
    client = filesystem_client(pipeline)
    files, table = client.fs_client, client.get_table_dir(STARTER_PACK_MEMBERS.name)
    folders: dict[str, list[str]] = {}
    for path in sorted(map(str, files.find(table))):
        folder, _, name = path.removeprefix(table).rpartition("/")
        if folder and name.endswith(".parquet"):
            folders.setdefault(folder, []).append(path)
    days: dict[str, list[dict[str, Any]]] = {}
    for folder in sorted(folders, reverse=True):
        oldest = sorted(days)[-_LATEST_DAYS:][0] if len(days) >= _LATEST_DAYS else ""
        if folder < oldest[: len(folder)]:  # Of a compacted month, too, no day is among the newest.
            continue
        for path in folders[folder]:
            # Files of older loads have no `hidden_because`.
            columns = ["pack_uri", "did", "observed_at", "hidden_because", SOURCE_FILE]
            for row in read_rows(files, path, columns).to_pylist():
                day = (row.get(SOURCE_FILE) or f"/{folder}/").split("/")[1]
                days.setdefault(day, []).append(row)
    for day in sorted(days, reverse=True)[:_LATEST_DAYS]:
        yield days[day]
