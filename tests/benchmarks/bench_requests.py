"""What a night, and dbt's reading of it, ask of a bucket, by the age of the lake.

    python -m tests.benchmarks.bench_requests [--nights 7 365 1095] [--batches 43200]

The lakes are made by hand: the files of one real night for each night, beside a month of the live job's batches, one a
minute. A warehouse knows each lake when the night comes, so that what is counted is what the night costs.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from unittest.mock import patch

import dlt
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.lake.compaction import READERS_NEED, compact
from pipelines.lake.filesystems import use_lake_filesystems
from pipelines.lake.tables import CHECK_TABLES, REPO_EVENTS, RawTable
from tests.benchmarks.memory_bucket import MemoryBucket
from tests.conftest import shared_world
from tests.dbt_command import run_dbt
from tests.s3.faulted_bucket import DONE, LAKE, FaultedBucket, faulted_bucket

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BUCKET: Final = "community"
KINDS: Final = ("list", "get", "head", "put", "delete")
STATES: Final = 49
"""Nights of two loads, or batches, of which there are states: of one more, dlt, which keeps a hundred, deletes some."""
MODELS: Final = ("--select=path:models/staging int_posts", "--exclude=base_bluesky__repo_events+")
"""What opens files. A table of which each night reads as many files, whatever its age, takes too long to prepare."""


def history(template: dict[str, bytes], nights: int, batches: int, now: datetime) -> Iterator[tuple[str, bytes]]:
    """Give the files of a lake that is so many nights old."""
    pulled = [(path, content) for path, content in template.items() if not path.startswith(("_", "repo_", "init"))]
    for night in range(nights, 0, -1):
        at = now - timedelta(days=night)
        load = f"{at.timestamp():.7f}"
        for path, content in pulled:
            table, _, name = path.split("/")
            yield f"{table}/{at:%Y-%m-%d}/{load}.{name.split('.')[2]}.parquet", content
        yield from _load("bluesky", "bluesky", load, template, night)
        load = f"{at.timestamp() + 60:.7f}"
        for checked in CHECK_TABLES:
            yield f"{checked.name}/{at:%Y-%m-%d}/{load}.checked.parquet", one_row(checked, load)
        yield from _load("bluesky", "bluesky", load, template, night)
    for batch in range(batches, 0, -1):
        at = now - timedelta(minutes=batch)
        load = f"{at.timestamp():.7f}"
        yield f"{REPO_EVENTS.name}/{at:%Y-%m-%d}/{load}.batch.parquet", one_row(REPO_EVENTS, load)
        yield from _load("bluesky_jetstream", "repo_events", load, template, batch)


def _load(pipeline: str, schema: str, load: str, template: dict[str, bytes], age: int) -> Iterator[tuple[str, bytes]]:
    said = {"load_id": load, "schema_name": schema, "status": 0, "inserted_at": "2026-01-01T00:00:00+00:00"}
    yield f"_dlt_loads/{schema}__{load}.jsonl", json.dumps(said | {"schema_version_hash": "x"}).encode()
    if age <= STATES:
        path = max(path for path in template if path.startswith(f"_dlt_pipeline_state/{pipeline}__"))
        yield f"_dlt_pipeline_state/{pipeline}__{load}__{path.rpartition('__')[2]}", template[path]


_ROWS: dict[str, pa.Table] = {}


def one_row(table: RawTable, load: str) -> bytes:
    """Make a file with one row that says nothing."""
    if table.name not in _ROWS:
        _ROWS[table.name] = pa.table({name.name: [_value(name)] for name in table.schema}, schema=table.schema)
    sink = pa.BufferOutputStream()
    pq.write_table(_ROWS[table.name].append_column("_dlt_load_id", pa.array([load])), sink)
    return sink.getvalue().to_pybytes()


def _value(field: Any) -> object:
    if field.nullable:
        return None
    if pa.types.is_timestamp(field.type):
        return datetime(2026, 1, 1, tzinfo=UTC)
    if pa.types.is_boolean(field.type):
        return False
    return 0 if pa.types.is_integer(field.type) else "at://did:plc:nobody/app.bsky.feed.post/3k"


def kinds(requests: Iterable[str]) -> Counter[str]:
    """Count requests as they are billed."""
    return Counter("list" if " list-type" in name else name.split()[0].lower() for name in requests)


def measured(bucket: FaultedBucket, server: MemoryBucket, files: dict[str, bytes], folder: Path, age: int) -> None:
    """Build what a warehouse knows of a lake, then count a night and what dbt reads of it."""
    local = folder / f"lake{age}" / "bluesky"
    for path, content in files.items():
        (local / path).parent.mkdir(parents=True, exist_ok=True)
        (local / path).write_bytes(content)
    os.environ["SOURCES__BLUESKY__CATCH_UP"] = "true"
    os.environ["PIPELINES__BLUESKY__WAREHOUSE"] = str(folder / f"warehouse{age}" / "bluesky.duckdb")
    os.environ["DBT_TARGET_PATH"], os.environ["DBT_LOG_PATH"] = str(folder / "target"), str(folder / "logs")
    with bucket.case():
        with patch.dict(os.environ, {f"{LAKE}BUCKET_URL": str(local.parent)}):
            settle()
        server.objects = {key: value for key, value in server.objects.items() if "/bluesky/" not in key}
        for file in local.rglob("*"):
            if file.is_file():
                server.objects[f"{bucket._prefix}/bluesky/{file.relative_to(local)}"] = file.read_bytes()
        print(f"{age} nights: {len(server.objects):,} files", flush=True)
        with counted(bucket, "night"):
            assert bucket.night(2) == DONE
        with counted(bucket, "dbt"):
            dbt()


@contextmanager
def counted(bucket: FaultedBucket, name: str) -> Iterator[None]:
    """Say how often the bucket is asked in a block."""
    bucket.proxy.fail(None)
    yield
    found = kinds(bucket.proxy.requests)
    print(f"  {name}: {', '.join(f'{found[kind]:,} {kind}' for kind in KINDS)}", flush=True)


def settle() -> None:
    """Let a warehouse know the lake, and do what nights have done until now."""
    dbt()
    now, pipeline = time.time(), dlt.pipeline("bluesky_compact")
    for later in (0, READERS_NEED):
        compact(pipeline, now=now + later)
    dbt()


def dbt() -> None:
    """Read what is new."""
    outcome = run_dbt("run", *MODELS)
    assert outcome.success


def main() -> None:
    """Print what each lake costs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--nights", type=int, nargs="+", default=[7, 365, 1095])
    parser.add_argument("--batches", type=int, default=43_200)
    options = parser.parse_args()
    use_lake_filesystems()
    with tempfile.TemporaryDirectory() as temporary, MemoryBucket(BUCKET) as server:
        settings = {
            f"{LAKE}BUCKET_URL": f"s3://{BUCKET}/raw",
            f"{LAKE}CREDENTIALS__AWS_ACCESS_KEY_ID": "a" * 32,
            f"{LAKE}CREDENTIALS__AWS_SECRET_ACCESS_KEY": "b" * 64,
            f"{LAKE}CREDENTIALS__ENDPOINT_URL": server.url,
            f"{LAKE}CREDENTIALS__REGION_NAME": "auto",
            f"{LAKE}CREDENTIALS__S3_URL_STYLE": "path",
        }
        folder = Path(temporary)
        with faulted_bucket(shared_world(), folder, BUCKET, settings) as bucket:
            for nights in options.nights:
                files = dict(history(bucket.base, nights, options.batches, datetime.now(UTC)))
                measured(bucket, server, dict(bucket.base) | files, folder, nights)


if __name__ == "__main__":
    main()
