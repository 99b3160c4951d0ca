"""What the lake keeps for a while only, if the settings say so: words of deleted posts, and `raw`.

A night does it when the warehouse knows what the night has brought, and before anything is asked or published. What is
due once is written down first, so that a run that dies is finished by the next.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from dlt.common.configuration import with_config
from dlt.common.configuration.exceptions import ConfigurationValueError

from pipelines.lake.deleted_posts import CID_COLUMNS, POSTS_UNDER_WAY, URI_COLUMNS, DeletedPosts
from pipelines.lake.duckdb_settings import duckdb_settings, has_relation
from pipelines.lake.forget_tables import LakeFiles, Rewritten
from pipelines.lake.forget_warehouse import remove_warehouse
from pipelines.lake.forgotten import read_forgotten, write_forgotten
from pipelines.lake.lease import LeaseTaken, lease
from pipelines.lake.people_files import read_people_file, remove_people_file, write_people_file
from pipelines.sources.bluesky import MOST_DAYS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import dlt
    from rich.console import Console

    from pipelines.lake.duckdb_settings import DuckDBSettings

UNCERTAIN: Final = timedelta(days=1)
"""So long after a deletion, a feed that shows the post is no proof that it was made anew (`int_deletions`)."""

LARGEST_PATTERN: Final = 50_000
"""Characters: some 3,500 posts. DuckDB takes no pattern of a million, and slows down long before."""


@dataclass(frozen=True)
class Retention:
    """How long something is kept.

    Attributes:
        deleted: The words of a post after it was deleted; None: for ever.
        raw: The items' own JSON after it was seen; None: for ever.
    """

    deleted: timedelta | None
    raw: timedelta | None


@with_config(sections=("retention",))
def configured_retention(keep_deleted_days: float | None = None, keep_raw_days: float | None = None) -> Retention:
    """Ask the settings how long something is kept."""
    if not all(0 <= (days or 0) <= MOST_DAYS for days in (keep_deleted_days, keep_raw_days)):
        raise ConfigurationValueError(
            f"[retention]: keep_deleted_days and keep_raw_days take a number from 0 to {MOST_DAYS}"
        )
    return Retention(
        None if keep_deleted_days is None else timedelta(days=keep_deleted_days),
        None if keep_raw_days is None else timedelta(days=keep_raw_days),
    )


def keep_no_longer(pipeline: dlt.Pipeline, now: datetime, console: Console, *, is_built: bool = True) -> bool:
    """Take out of the lake what it is to keep no longer.

    Args:
        pipeline: The pull's, with nothing pending.
        now: The time of the night.
        console: Where to say what was done.
        is_built: Whether the warehouse knows the night. Which posts are deleted, it alone can tell.

    Returns:
        Whether the warehouse is gone, since it had words that the lake has no more.

    Raises:
        LakeError: The lake or the warehouse cannot be used. The next run goes on.
    """
    retention = configured_retention()
    if retention == Retention(None, None):
        return False
    try:
        if retention.raw is not None:
            _drop_raw(pipeline, now - retention.raw, console)
        if retention.deleted is None:
            return False
        if is_built:
            return _forget_deleted_posts(pipeline, now - max(retention.deleted, UNCERTAIN), console)
        _say(console, "keep_deleted_days did nothing: it goes by the warehouse, which this run does not build")
    except LeaseTaken:
        # A compaction would bring back, in a new file, what it has read from old ones.
        _say(console, "another job is writing files of the lake anew: what is due goes the next time")
    return False


def _drop_raw(pipeline: dlt.Pipeline, before: datetime, console: Console) -> None:
    settings = duckdb_settings(pipeline.pipeline_name)
    if not LakeFiles(pipeline, settings).have_raw(before):
        return
    done = Rewritten()
    with lease(pipeline) as held:
        files = LakeFiles(pipeline, settings, held)
        for table in files.tables:
            done.add(files.drop_raw(table, before))
    _say(console, f"raw went out of {done.changed:,} rows; {done.files:,} files")


def _forget_deleted_posts(pipeline: dlt.Pipeline, before: datetime, console: Console) -> bool:
    settings = duckdb_settings(pipeline.pipeline_name)
    begun = read_people_file(pipeline, POSTS_UNDER_WAY)
    waiting = list(dict.fromkeys([*(json.loads(begun) if begun else ()), *_due_posts(settings, before)]))
    if not waiting:
        return False
    most = _posts_at_once(waiting)
    due, later = waiting[:most], waiting[most:]
    posts, done = DeletedPosts(due), Rewritten()
    with lease(pipeline) as held:
        write_people_file(pipeline, POSTS_UNDER_WAY, json.dumps(due))
        files = LakeFiles(pipeline, settings, held)
        for table in files.tables:
            done.add(files.forget_posts(table, posts))
    # What a cache or another machine has made of the lake before is begun anew, too.
    write_forgotten(pipeline, read_forgotten(pipeline).with_log(done.removed, done.changed, done.files))
    remove_warehouse(pipeline, settings)
    remove_people_file(pipeline, POSTS_UNDER_WAY)
    _say(
        console,
        f"words of {len(due):,} deleted posts went out of {done.changed:,} rows; {done.files:,} files;"
        " the warehouse is made anew",
    )
    if later:
        _say(console, f"{len(later):,} more are due, and go the next nights")
    return True


def _posts_at_once(due: Sequence[str]) -> int:
    """Tell how many of the posts go in one night: their record keys are one pattern, whose size DuckDB limits."""
    sizes = accumulate(len(uri.rpartition("/")[2]) + 1 for uri in due)
    return max(1, sum(size <= LARGEST_PATTERN for size in sizes))


def _due_posts(settings: DuckDBSettings, before: datetime) -> list[str]:
    """Ask the warehouse which posts were deleted before a time, by those who know, and have words in the lake.

    That a service hides a post is no deletion. A post that has a CID in any row has its words there.
    """
    with_words = " union all ".join(
        f"select due.uri from due inner join base_bluesky__{table} as rows on due.uri = rows.{URI_COLUMNS[table]}"
        f" where rows.{CID_COLUMNS[table]} is not null"
        for table in URI_COLUMNS
    )
    with closing(settings.read_warehouse()) as warehouse:
        if not has_relation(warehouse, "int_deletions"):
            return []
        found = warehouse.execute(
            "with due as (select subject_uri as uri from int_deletions where subject_type = 'post'"
            " and evidence in ('delete_event', 'record_gone') and missed_at < $1)"
            f" select distinct uri from ({with_words}) order by uri",
            [before],
        )
        return [uri for (uri,) in found.fetchall()]


def _say(console: Console, line: str) -> None:
    console.print(f"retention  {line}", markup=False, highlight=False)
