"""How long exports take, and how much memory, beside DuckDB's own `COPY` of the same rows.

python tests/benchmarks/bench_export.py FOLDER [ROWS]    a million posts, if not said otherwise

Two thousand people, of whom every twentieth is withheld; a thirtieth of the posts is deleted, and every fifth text has
a handle and an address in it. Each way of writing them runs in a process of its own.
"""

from __future__ import annotations

import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from pipelines.exports.marts import choose
from pipelines.exports.pseudonyms import Pseudonyms
from pipelines.exports.tables import FORMATS, write_table

if TYPE_CHECKING:
    from pipelines.exports.tables import Format

WAYS = ("copy", "published", "pseudonyms")

PEOPLE = """
create table dim_authors as
select 'did:plc:' || substr(translate(md5(n::varchar), '0189', 'wxyz'), 1, 24) as did,
    'person' || n || '.test' as handle, 'Person Number' || n as display_name, n % 20 != 0 as is_publishable
from range(2000) as numbers(n);
create table int_publishable_authors as select did, is_publishable from dim_authors;
create table int_withheld_names as
select did as withheld_name from dim_authors where not is_publishable
union all select handle from dim_authors where not is_publishable;
"""
POSTS = """
create table fct_posts as
with numbered as (
    select n, authors.did,
        array_to_string(
            list_transform(range(30), k -> substr(md5((n * 31 + k)::varchar), 1, 2 + (n + k)::int % 8)), ' ')
            || case n % 5 when 0 then ' @person' || (n * 7919) % 2000 || '.test https://example.org/' || n else '.' end
            as text
    from range($rows) as numbers(n)
    inner join (select did, row_number() over (order by did) - 1 as number from dim_authors) as authors
        on authors.number = (n * 104729) % 2000
)
select 'at://' || did || '/app.bsky.feed.post/3' || lpad(n::varchar, 12, 'k') as post_uri, md5(n::varchar) as post_cid,
    did as author_did, timestamptz '2026-01-01 00:00:00+00' + to_seconds(n) as posted_at, 'original' as kind, text,
    length(text) as text_length, ['en'] as langs, 'en' as primary_language, null::varchar as reply_parent_uri,
    n % 90 as like_count, n % 30 = 0 as is_deleted,
    'https://bsky.app/profile/' || did || '/post/3' || lpad(n::varchar, 12, 'k') as post_url
from numbered;
create table int_deletions as select post_uri as subject_uri from fct_posts where is_deleted;
create table int_records_in_doubt as select null::varchar as uri where false;
create table int_stale_posts as select null::varchar as post_uri where false;
create table int_reposts as select null::varchar as repost_uri, true as is_publishable where false;
create table int_handle_spans as select did, handle from dim_authors;
create table stg_bluesky__profiles as select did, handle, display_name from dim_authors;
create table stg_bluesky__starter_pack_members as select did, handle, display_name from dim_authors;
create table stg_bluesky__starter_packs as select did as creator_did, handle as creator_handle from dim_authors limit 1;
create table int_reactions as
select did as actor_did, handle as actor_handle, display_name as actor_display_name from dim_authors limit 0;
create table int_posts as
select did as author_did, handle as author_handle, display_name as author_display_name from dim_authors;
"""


def build(warehouse: Path, rows: int) -> None:
    with duckdb.connect(str(warehouse)) as marts:
        marts.execute(PEOPLE)
        marts.execute(POSTS.replace("$rows", str(rows)))


def measure(warehouse: Path, way: str, form: Format) -> tuple[float, float]:
    """Write the posts in one way, and give what that took: seconds of CPU, and megabytes of memory."""
    with duckdb.connect(str(warehouse), read_only=True, config={"memory_limit": "2GB"}) as marts:
        marts.execute("set timezone = 'UTC'; set preserve_insertion_order = false; set enable_progress_bar = false")
        begun, cpu = time.monotonic(), time.process_time()
        (mart,) = choose(marts, ["fct_posts"], is_all=way == "copy", is_renamed=False)
        pseudonyms = Pseudonyms.of(marts, b"salt") if way == "pseudonyms" else None
        table = write_table(marts, mart, form, warehouse.parent, pseudonyms)
        seconds, cpu = time.monotonic() - begun, time.process_time() - cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = table.byte_count / 1e6
    print(f"{way:>10} {form:>8}  {table.row_count:>9,} rows {size:>7,.1f} MB {seconds:>7,.1f} s"
          f" ({cpu:,.1f} s of CPU) {memory:>6,.0f} MB of memory")  # fmt: skip
    return cpu, memory


def main(folder: Path, rows: int = 1_000_000) -> None:
    """Build a warehouse, and export from it."""
    folder.mkdir(parents=True, exist_ok=True)
    warehouse = folder / "bluesky.duckdb"
    if not warehouse.exists():
        build(warehouse, rows)
    with ProcessPoolExecutor(1, get_context("spawn"), max_tasks_per_child=1) as processes:
        for form in FORMATS:
            took = {way: processes.submit(measure, warehouse, way, form).result() for way in WAYS}
            for way in WAYS[1:]:
                cpu, memory = (ours / its for ours, its in zip(took[way], took["copy"], strict=True))
                print(f"{form}, {way}: {cpu:.1f} times the CPU of DuckDB's COPY, {memory:.1f} times the memory")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
