"""The dlt source of the live job: the events of any feed, loaded in micro-batches, each with its position."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import dlt
import msgspec
import pyarrow as pa
from dlt.extract import DltResource

from pipelines.events.repo_event import COMMIT, Gap, Position, RepoEvent
from pipelines.lake.tables import REPO_EVENT_GAPS, REPO_EVENTS
from pipelines.network import lexicon
from pipelines.sources.rows import (
    Row,
    arrow_table,
    from_microseconds,
    is_far_ahead,
    microseconds,
    post_record_columns,
    resource_hints,
)

if TYPE_CHECKING:
    from pipelines.events.repo_event import Delivery

POST: Final = "app.bsky.feed.post"


class _SubjectRecord(msgspec.Struct, rename="camel", gc=False):
    """What records other than posts have in common: reposts, likes, follows, blocks, list items, profiles."""

    created_at: str | None = None
    subject: lexicon.StrongRef | str | None = None
    labels: lexicon.SelfLabels | None = None


@dataclass
class Batch:
    """Events of one feed that are loaded together, with the feed's position after them.

    Attributes:
        feed: The feed's name.
        service: URL of the service that the feed comes from.
        observed_at: When the first of them was taken from the feed.
        tables: Parts of `repo_events`. Each delivery becomes Arrow at once: as Python objects, its rows would take ten
            times the memory and occupy the garbage collector.
        event_count: Their rows.
        gaps: Rows of `repo_event_gaps`.
        position: Where the feed goes on once the batch is in the lake; None if it has not moved.
    """

    feed: str
    service: str
    observed_at: datetime
    tables: list[pa.Table] = field(default_factory=list)
    event_count: int = 0
    gaps: list[Row] = field(default_factory=list)
    position: Position | None = None

    def add(self, delivery: "Delivery") -> Sequence[Row]:
        """Add what a feed delivered.

        Returns:
            The rows of its events.
        """
        seen: Row = {"feed": self.feed, "service": self.service, "observed_at": microseconds(self.observed_at)}
        rows = [event_row(event, seen) for event in delivery.events]
        if rows:
            table = arrow_table(REPO_EVENTS, rows)
            self.tables += [table] if table.num_rows else []
            self.event_count += len(rows)
        self.gaps += [_gap_row(gap, seen) for gap in delivery.gaps]
        if delivery.position is not None:
            self.position = delivery.position
        return rows


def event_row(event: RepoEvent, seen: Row) -> Row:
    """Write an event as a row of `repo_events`.

    Args:
        event: The event.
        seen: Columns that all events of a batch share.
    """
    observed_at = from_microseconds(seen["observed_at"])
    issues: list[str] = [event.issue] if event.issue else []
    event_at = event.event_at
    if event_at is not None and is_far_ahead(event_at, observed_at):
        issues.append("$: it happened more than a day ahead of the observation")
        event_at = None
    row: Row = {
        **seen,
        "kind": event.kind,
        "did": event.did,
        "event_at": seen["observed_at"] if event_at is None else microseconds(event_at),
        "rev": event.rev,
        "position": event.position,
    }
    if event.kind == COMMIT:
        row["operation"] = event.operation
        row["collection"] = event.collection
        row["rkey"] = event.rkey
        row["uri"] = f"at://{event.did}/{event.collection}/{event.rkey}"
        row["cid"] = event.cid
        if event.record is not None:
            row |= _record_columns(event.collection, event.record, issues, observed_at)
            row["raw"] = lexicon.readable_text(event.record)
    else:
        row["handle"] = event.handle
        row["is_active"] = event.is_active
        row["status"] = event.status
        row["raw"] = event.raw and lexicon.readable_text(event.raw)
    if issues:
        row["issues"] = issues
    return row


def _record_columns(collection: str | None, raw: bytes, issues: list[str], observed_at: datetime) -> Row:
    if collection == POST:
        post, found = lexicon.decode(raw, lexicon.PostRecord)
        issues += found
        return post_record_columns(post, "$", issues, observed_at)
    record, found = lexicon.decode(raw, _SubjectRecord)
    issues += found
    # What other records share with posts: a time and labels, read by the same rules.
    common = lexicon.PostRecord(created_at=record.created_at, labels=record.labels)
    row = post_record_columns(common, "$", issues, observed_at)
    row["subject_uri"] = record.subject.uri if isinstance(record.subject, lexicon.StrongRef) else record.subject
    return row


def _gap_row(gap: Gap, seen: Row) -> Row:
    return {
        **seen,
        "gap_from": gap.gap_from and microseconds(gap.gap_from),
        "gap_to": gap.gap_to and microseconds(gap.gap_to),
        "reason": gap.reason,
        "position_before": gap.position_before,
        "position_after": gap.position_after,
    }


@dlt.source(name="repo_events", section="repo_events")
def repo_events(batch: Batch) -> list[DltResource]:
    """One micro-batch of a feed.

    The feed's position is kept in the state of the source, which dlt stores in the same load as the events: either
    both are in the lake or, as far as the next run can tell, neither.
    """

    @dlt.resource(**resource_hints(REPO_EVENTS))
    def repo_events_() -> Iterator[pa.Table]:
        if batch.tables:
            yield pa.concat_tables(batch.tables)
        if batch.position is not None:
            dlt.current.source_state().setdefault("positions", {})[batch.service] = batch.position

    @dlt.resource(**resource_hints(REPO_EVENT_GAPS))
    def repo_event_gaps() -> Iterator[pa.Table]:
        if batch.gaps:
            yield arrow_table(REPO_EVENT_GAPS, batch.gaps)

    return [repo_events_, repo_event_gaps]


def stored_position(pipeline: dlt.Pipeline, service: str) -> Position | None:
    """Read where a feed goes on from the pipeline's state; None if it was never loaded."""
    sources: dict[str, Any] = pipeline.state.get("sources", {})
    position: Position | None = sources.get("repo_events", {}).get("positions", {}).get(service)
    return position
