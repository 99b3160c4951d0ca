"""A lake of the sample world for somebody to be forgotten in, and a search through all of its bytes."""

from __future__ import annotations

import json
import os
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.versioned_state import decompress_state
from rich.console import Console

from pipelines import bluesky
from pipelines.events.event_json import read_json_event
from pipelines.events.repo_event import Delivery
from pipelines.lake.compaction import compact
from pipelines.lake.filesystems import use_lake_filesystems
from pipelines.lake.working_folder import open_pipeline, recover
from pipelines.retention import keep_no_longer
from pipelines.sample.streams.events import StreamEvent
from pipelines.sample.world.days import evening
from pipelines.sources.member_states import MemberStates
from pipelines.sources.repo_events import Batch, repo_events

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pipelines.sample.world.world import World
    from tests.conftest import Lake
    from tests.job import AtChange

Row = dict[str, Any]


def load_events(world: World, day: int, count: int, pipeline: str = "bluesky_webhook") -> None:
    """Load what happened up to an evening in small batches, and compact them."""
    events = list(world.events(evening(day - 30), evening(day)))[-count:]
    frames = [StreamEvent(number, event) for number, event in enumerate(events, start=1)]
    for begin in range(0, count, count // 3):
        batch = Batch("webhook", "127.0.0.1:8787", datetime.now(UTC))
        read = [read_json_event(frame.jetstream_v2_payload, frame.seq) for frame in frames[begin:][: count // 3]]
        batch.add(Delivery([event for event in read if event]))
        recover(open_pipeline(pipeline)).run(repo_events(batch))
    compact(dlt.pipeline(pipeline))


def forget(*arguments: str) -> int:
    """Run the command."""
    return bluesky.main(["--forget", *arguments])


def keep_no_longer_in(environment: dict[str, str], now: datetime, death: AtChange) -> None:
    """Take out of the sample's lake what is due, in a process of its own that dies of it."""
    os.environ.update(environment)
    use_lake_filesystems()
    death.arm()
    keep_no_longer(open_pipeline("bluesky_sample"), now, Console(quiet=True))


@dataclass(frozen=True)
class Person:
    """Somebody, and what is theirs.

    Attributes:
        did: Their DID.
        strings: What must be found nowhere: identifiers, names, words.
    """

    did: str
    strings: tuple[str, ...]


def person(world: World, lake: Lake, did: str) -> Person:
    """Collect what the lake has of somebody, above all what others' rows repeat."""
    (profile,) = lake.query(f"from profiles where did = '{did}' order by observed_at desc limit 1")
    reposted = lake.query(
        f"select distinct text from author_feed where author_did = '{did}' and member_did != '{did}' and len(text) > 20"
    )
    own = lake.query(f"select distinct text from author_feed where member_did = '{did}' and author_did = '{did}'")
    packs = [pack for pack in world.packs if did in pack.uri]
    # People of the sample share some sentences: these are nobody's.
    files = [*(lake.dataset / "author_feed").rglob("*.parquet"), *(lake.dataset / "repo_events").rglob("*.parquet")]
    raws = [raw for file in files for raw in pq.read_table(file, columns=["raw"])["raw"].to_pylist() if raw]
    others = "".join(raw for raw in raws if did not in raw)
    words = [
        row["text"]
        for row in (*reposted, *sorted(own, key=str))
        if row["text"] and len(row["text"]) > 20 and json.dumps(row["text"], ensure_ascii=False)[1:-1] not in others
    ]
    assert reposted, "a person whom nobody reposts is no test"
    strings = [
        did,
        did.rpartition(":")[2],
        profile["handle"],
        profile["display_name"],
        profile["description"],
        profile["avatar_url"].rpartition("/")[2].partition("@")[0],
        *(pack.uri.rpartition("/")[2] for pack in packs),
        *dict.fromkeys(words),
    ]
    assert len(strings) >= 12
    return Person(did, tuple(strings[:16]))


def all_of(table: pa.Table) -> str:
    return json.dumps(table.to_pylist(), default=str, ensure_ascii=False)


def contents(folder: Path) -> Iterator[tuple[str, str]]:
    """Read each file of a folder in every way that has something to read: its bytes, columns, tables, state."""
    for path in sorted(file for file in folder.rglob("*") if file.is_file()):
        raw = path.read_bytes()
        yield str(path), raw.decode("utf-8", "replace")
        if path.suffix == ".parquet":
            yield f"{path} (columns)", all_of(pq.read_table(path))
            yield f"{path} (metadata)", str(pq.read_schema(path).metadata)
        elif path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as warehouse:
                for (name,) in warehouse.execute("select table_name from duckdb_tables()").fetchall():
                    yield f"{path} ({name})", all_of(warehouse.sql(f'from "{name}"').to_arrow_table())
        elif path.suffix == ".jsonl" and "_dlt_pipeline_state" in str(path):
            state = decompress_state(json.loads(raw)["state"])
            yield f"{path} (state)", json.dumps(state, default=str)
            members = state.get("sources", {}).get("bluesky", {}).get("resources", {}).get("author_feed", {})
            yield f"{path} (members)", json.dumps(MemberStates(members.get("members", [])).by_did())
        elif path.suffix == ".sqlite":
            with sqlite3.connect(path) as spool:
                yield f"{path} (events)", str(spool.execute("select body from events").fetchall())


def found_in(folder: Path, strings: Sequence[str]) -> list[tuple[str, str]]:
    """Find strings in the bytes of all files, packed or not."""
    wanted = {string: json.dumps(string)[1:-1] for string in strings}
    return [
        (string, name)
        for name, content in contents(folder)
        for string, escaped in wanted.items()
        if string in content or escaped in content
    ]


def rows_of_others(lake: Lake, did: str) -> dict[str, list[Row]]:
    """Give the items of everybody else, with what is theirs of each: which, when, of what kind."""
    return {
        "items": lake.query(
            "select member_did, item_uri, observed_at, reason_type, item_at, text is not null as has_text, like_count"
            f" from author_feed where member_did != '{did}' and author_did = member_did order by all"
        ),
        "reposts": lake.query(
            "select member_did, item_uri, observed_at, item_at from author_feed"
            f" where member_did != '{did}' and reason_type = 'repost' order by all"
        ),
        "walks": lake.query(f"from feed_pulls where member_did != '{did}' order by all"),
        "reactions": lake.query(
            f"from reactions where actor_did != '{did}' and not contains(post_uri, '{did}') order by all"
        )
        if (lake.dataset / "reactions").is_dir()
        else [],
    }
