"""Who is followed, as the lake has it: what a live run listens to."""

from __future__ import annotations

import glob
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from pipelines.lake.bucket import filesystem_client
from pipelines.lake.damaged import read_rows
from pipelines.lake.tables import STARTER_PACK_MEMBERS, HiddenBecause

if TYPE_CHECKING:
    from datetime import datetime

    import dlt

_LATEST_FOLDERS: Final = 8
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
    client = filesystem_client(pipeline)
    files = client.fs_client
    paths = sorted(map(str, files.glob(f"{glob.escape(client.get_table_dir(STARTER_PACK_MEMBERS.name))}*/*.parquet")))
    folders = sorted({path.rpartition("/")[0] for path in paths})[-_LATEST_FOLDERS:]
    newest: dict[str, tuple[datetime, set[str]]] = {}
    for path in paths:
        if path.rpartition("/")[0] not in folders:
            continue
        # Files of older loads have no `hidden_because`.
        for row in read_rows(files, path, ["pack_uri", "did", "observed_at", "hidden_because"]).to_pylist():
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
