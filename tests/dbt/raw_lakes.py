"""Lakes written by hand: the raw layer's schemas, dlt's layout, and exactly the rows that a case needs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.lake.tables import CHECK_TABLES, LIVE_TABLES, RAW_TABLES

if TYPE_CHECKING:
    from pathlib import Path

SCHEMAS = {table.name: table.schema for table in RAW_TABLES}
OTHER_SCHEMAS = {table.name: table.schema for table in (*CHECK_TABLES, *LIVE_TABLES)}
PACK = "at://did:plc:curator/app.bsky.graph.starterpack/pack"
OTHER_PACK = "at://did:plc:curator/app.bsky.graph.starterpack/other"


def did(name: str) -> str:
    return f"did:plc:{name}"


def post_uri(author: str, rkey: str) -> str:
    return f"at://{did(author)}/app.bsky.feed.post/{rkey}"


def repost_uri(member: str, rkey: str) -> str:
    return f"at://{did(member)}/app.bsky.feed.repost/{rkey}"


def follow_uri(member: str, rkey: str) -> str:
    return f"at://{did(member)}/app.bsky.graph.follow/{rkey}"


def like_uri(member: str, rkey: str) -> str:
    return f"at://{did(member)}/app.bsky.feed.like/{rkey}"


def rev_at(at: datetime) -> str:
    """The revision of a repository to which something happens at this moment."""
    return f"{at:%Y%m%d%H%M}"


def night(number: int, hour: int = 23) -> datetime:
    return datetime(2026, 3, number, hour, tzinfo=UTC)


@dataclass
class Load:
    """One load: rows by table, collected night by night and then written at once."""

    load_id: str
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def add(self, table: str, **values: Any) -> None:
        self.rows.setdefault(table, []).append(values)

    def pack(
        self,
        at: datetime,
        members: list[str],
        uri: str = PACK,
        *,
        complete: bool = True,
        handles: dict[str, str] | None = None,
    ) -> None:
        self.add(
            "starter_packs",
            uri=uri,
            observed_at=at,
            seed_type="starter_pack",
            name=uri.rpartition("/")[2],
            creator_did=did("curator"),
            is_membership_complete=complete,
        )
        for name in members:
            self.member(name, at, uri, handle=(handles or {}).get(name, f"{name}.test"))

    def member(self, name: str, at: datetime, uri: str = PACK, because: str | None = None, **values: Any) -> None:
        """Somebody whom the service lists in a pack, or hides for a reason."""
        row = {"pack_uri": uri, "did": did(name), "observed_at": at, "seed_type": "starter_pack"}
        self.add("starter_pack_members", **row, is_listed=because is None, hidden_because=because, **values)

    def profile(self, name: str, at: datetime, **values: Any) -> None:
        self.add("profiles", did=did(name), observed_at=at, **{"handle": f"{name}.test", "labels": [], **values})

    def pull(self, name: str, at: datetime, days: float | None = None, outcome: str = "ok") -> None:
        """The walk through somebody's feed: over the last `days`, or to its end."""
        covered_from = None if days is None else at - timedelta(days=days)
        is_ok = outcome == "ok"
        self.add(
            "feed_pulls",
            member_did=did(name),
            observed_at=at,
            outcome=outcome,
            page_count=1,
            item_count=0,
            new_item_count=0,
            covered_from=covered_from if is_ok else None,
            covered_to=at if is_ok else None,
            reached_end=is_ok and days is None,
        )

    def post(self, author: str, rkey: str, seen_at: datetime | None, posted_at: datetime | None, **values: Any) -> None:
        """A post in its author's feed; in `member`'s, as a repost, if `repost` names the record."""
        repost, member = values.pop("repost", None), values.pop("member", author)
        indexed_at = values.pop("indexed_at", posted_at)
        uri = post_uri(author, rkey)
        both = [time for time in (posted_at, indexed_at) if time]
        item_at = min(both) if len(both) == 2 else None
        row = {
            "member_did": did(member),
            "observed_at": seen_at,
            "item_uri": repost_uri(member, repost) if repost else uri,
            "item_at": values.pop("item_at", item_at),
            "item_indexed_at": indexed_at,
            "reason_type": "repost" if repost else None,
            "post_uri": uri,
            "post_cid": "bafyfirst",
            "post_indexed_at": indexed_at,
            "author_did": did(author),
            "author_handle": f"{author}.test",
            "author_labels": [],
            "created_at": posted_at,
            "text": f"{author} says {rkey}",
            "like_count": 0,
            "repost_count": 0,
            "reply_count": 0,
            "quote_count": 0,
            "raw": "{}",
        }
        self.add("author_feed", **(row | values))

    def event(self, name: str, kind: str, rkey: str, at: datetime, operation: str = "create", **values: Any) -> None:
        """A post, repost, like or follow, as the live job heard it; of two of a record, the later is the newer."""
        collection = f"app.bsky.{'graph' if kind == 'follow' else 'feed'}.{kind}"
        row = {
            "kind": "commit",
            "did": did(name),
            "event_at": at,
            "rev": rev_at(at),
            "operation": operation,
            "collection": collection,
            "rkey": rkey,
            "uri": f"at://{did(name)}/{collection}/{rkey}",
            "feed": "jetstream",
            "service": "jetstream.test",
            "position": 1,
            "observed_at": at,
        }
        self.add("repo_events", **(row | values))

    def check(self, uri: str, at: datetime, outcome: str, **values: Any) -> None:
        """What was answered when a record was asked for."""
        _, _, repository, collection, _ = uri.split("/")
        row = {"uri": uri, "did": repository, "collection": collection, "observed_at": at, "outcome": outcome}
        self.add("record_checks", **(row | {"asked_because": "absent_from_feed"} | values))

    def kept(self, uri: str, at: datetime, rev: str, *, is_gone: bool = False, **values: Any) -> None:
        """A follow or a like that an audit found, or found gone, at a revision of the repository."""
        _, _, repository, collection, _ = uri.split("/")
        row = {"uri": uri, "member_did": repository, "collection": collection, "observed_at": at, "rev": rev}
        self.add("member_records", **(row | {"is_gone": is_gone} | values))

    def audit(self, name: str, at: datetime, outcome: str = "verified", **values: Any) -> None:
        """A repository of ten records, held against the lake."""
        counts = dict.fromkeys(("missing", "healed", "hidden", "unreadable", "gone"), 0)
        row: dict[str, Any] = {"member_did": did(name), "observed_at": at, "outcome": outcome}
        if outcome in {"verified", "listed"}:
            row |= {"expected_count": 10, "present_count": 10} | {f"{name}_count": n for name, n in counts.items()}
        self.add("feed_audits", **(row | values))

    def write(
        self, dataset: Path, *, evidence: str | None = "_dlt_loads", files: int = 1, **schemas: pa.Schema
    ) -> None:
        """Put the load into a lake, as dlt does.

        Args:
            dataset: Folder of the dataset.
            evidence: What says that it is complete: `_dlt_loads`, `_dlt_pipeline_state`, or nothing at all.
            files: How many files hold the rows, each all of them, as after a crash.
            schemas: Another schema for a table than today's.
        """
        for table, rows in self.rows.items():
            schema = schemas.get(table) or (SCHEMAS | OTHER_SCHEMAS)[table]
            columns = [pa.array([row.get(column.name) for row in rows], column.type) for column in schema]
            arrow = pa.Table.from_arrays(columns, schema=schema)
            arrow = arrow.append_column("_dlt_load_id", pa.array([self.load_id] * len(rows), pa.string()))
            for number in range(files):
                path = dataset / table / "2026-03-01" / f"{self.load_id}.file{number}.parquet"
                path.parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(arrow, path, compression="zstd")
        if evidence == "_dlt_pipeline_state":
            path = dataset / evidence / f"bluesky_sample__{self.load_id}__abcdef.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
        elif evidence == "_dlt_loads":
            path = dataset / evidence / f"bluesky__{self.load_id}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            loaded = {"load_id": self.load_id, "schema_name": "bluesky", "status": 0}
            path.write_text(json.dumps(loaded | {"inserted_at": "2026-03-01T00:00:00Z", "schema_version_hash": "x="}))
