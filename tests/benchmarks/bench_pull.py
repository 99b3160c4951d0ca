"""How fast the pull is, beside the way the known examples do it and beside a loop written by hand.

    python -m tests.benchmarks.bench_pull [--rounds 3]
    python -m tests.benchmarks.bench_pull --nights --members 1000 --posts 20

One server in a process of its own; every way in a new process, one after the other, round after round:

- `pull`: the job, through dlt to Parquet.
- `example`: the SDK's models, one member after the other, `model_dump_json` into one file a member.
- `by hand`: urllib3, msgspec, Arrow and a Parquet writer, in as many threads as the pull, the same columns, no dlt.

`--memory`: the memory of the pull over short feeds and over long ones. `--nights`: what a member costs on the first
night, and on a usual one, when each feed is asked for one page.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import resource
import shutil
import statistics
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import parse_qs, urlsplit

import msgspec

from pipelines.sample.appview.views import Views
from pipelines.sample.world.world import World

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

PAGE: Final = 100
THREADS: Final = 8
OWN_RKEY: Final = b"@rkey@"
PULL_ONLY: Final = ["--no-catch-up", "--no-transform", "--no-report"]


@dataclass(frozen=True)
class Work:
    """What one process does: so many feeds of so many items each, from a server, into a folder."""

    service: str
    members: int
    posts: int
    folder: Path

    @property
    def dids(self) -> list[str]:
        return [f"did:web:member{number}.example" for number in range(self.members)]


Way = Callable[[Work], Callable[[], None]]
"""What is imported and set up when it is called is not measured; what it returns is."""


@dataclass(frozen=True)
class Measure:
    """What came of it. Seconds do not count the start of Python and imports; memory counts all."""

    items: int
    seconds: float
    cpu_seconds: float
    peak_mib: float


def main() -> None:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description="Measure the pull beside two other ways.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--members", type=int, default=60)
    parser.add_argument("--posts", type=int, default=5_000)
    parser.add_argument("--memory", action="store_true", help="only the memory, over feeds of several lengths")
    parser.add_argument("--nights", action="store_true", help="only what a member costs, on a first and a usual night")
    options = parser.parse_args()
    if options.nights:
        with server(options.posts) as (service, _):
            for name, way in (("first", pull), ("usual", pull_again)):
                measure = run(way, service, options.members, options.posts)
                milliseconds = 1_000 * measure.cpu_seconds / options.members
                print(f"{name} night: {milliseconds:.1f} ms of CPU a member, peak {measure.peak_mib:,.0f} MiB")
        return
    if options.memory:
        for members, posts in ((300, 1_000), (60, 5_000), (30, 10_000)):
            with server(posts) as (service, _):
                measure = run(pull, service, members, posts)
            print(f"{members:>4} members x {posts:>6,} posts: peak {measure.peak_mib:,.0f} MiB")
        return
    measures: dict[str, list[Measure]] = {name: [] for name in WAYS}
    server_shares = []
    with server(options.posts) as (service, pid):
        for _ in range(options.rounds):
            for name, way in WAYS.items():
                # The example is slow: a tenth of the feeds tells as much.
                members = max(1, options.members // 10) if name == "example" else options.members
                before = _cpu_seconds(pid)
                measure = run(way, service, members, options.posts)
                measures[name].append(measure)
                if name == "pull":
                    server_shares.append((_cpu_seconds(pid) - before) / measure.seconds)
    print(f"{'':10}{'items/s':>10}{'items/CPU s':>13}{'peak MiB':>10}{'items':>10}")
    for name, rounds in measures.items():
        print(
            f"{name:10}{_median(rounds, lambda measure: measure.items / measure.seconds):>10,.0f}"
            f"{_median(rounds, lambda measure: measure.items / measure.cpu_seconds):>13,.0f}"
            f"{_median(rounds, lambda measure: measure.peak_mib):>10,.0f}{rounds[0].items:>10,}"
        )
    for other in ("example", "by hand"):
        pairs = list(zip(measures["pull"], measures[other], strict=True))
        wall = statistics.median(a.items / a.seconds * b.seconds / b.items for a, b in pairs)
        cpu = statistics.median(a.items / a.cpu_seconds * b.cpu_seconds / b.items for a, b in pairs)
        print(f"pull : {other} = {wall:.2f} by the clock, {cpu:.2f} by CPU time")
    print(f"the server took {statistics.median(server_shares):.0%} of a core during the pull")


@contextmanager
def server(posts: int) -> Iterator[tuple[str, int]]:
    """Start the server, with feeds of so many items.

    Yields:
        Its URL and the id of its process.
    """
    ready, told = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(posts, told), daemon=True)
    process.start()
    assert process.pid is not None
    yield f"http://127.0.0.1:{ready.recv()}", process.pid
    process.kill()


def run(way: Way, service: str, members: int, posts: int) -> Measure:
    """Do the work one way, in a new process."""
    folder = Path(tempfile.mkdtemp())
    ready, told = multiprocessing.get_context("spawn").Pipe()
    work = Work(service, members, posts, folder)
    process = multiprocessing.get_context("spawn").Process(target=_measured, args=(way, work, told))
    try:
        process.start()
        told.close()
        measure: Measure = ready.recv()
        process.join()
    finally:
        shutil.rmtree(folder)
    return measure


def _measured(way: Way, work: Work, told: Connection) -> None:
    act = way(work)
    begun, cpu = time.monotonic(), time.process_time()
    act()
    told.send(
        Measure(
            work.members * work.posts,
            time.monotonic() - begun,
            time.process_time() - cpu,
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        )
    )


def pull(work: Work) -> Callable[[], None]:
    """The job, as the command line runs it."""
    from pipelines import bluesky  # noqa: PLC0415

    os.environ |= {
        "DLT_DATA_DIR": str(work.folder / "dlt"),
        "DLT_LOCAL_DIR": str(work.folder),
        "SOURCES__BLUESKY__SERVICE": work.service,
        "SOURCES__BLUESKY__STARTER_PACKS": "[]",
        "SOURCES__BLUESKY__ACTORS": json.dumps(work.dids),
        "SOURCES__BLUESKY__REQUESTS_PER_SECOND": "1000000",
    }

    def act() -> None:
        assert bluesky.main(PULL_ONLY) == 0

    return act


def pull_again(work: Work) -> Callable[[], None]:
    """The job on its second night: each feed is asked for one page, and what is young is stored again."""
    from pipelines import bluesky  # noqa: PLC0415
    from pipelines.sources.pull_run import PullRun  # noqa: PLC0415

    pull(work)()
    evening = World().on(1).now  # When some of the items are young.

    def act() -> None:
        assert bluesky.main(PULL_ONLY, run=PullRun(lambda: evening)) == 0

    return act


def example(work: Work) -> Callable[[], None]:
    """Feed after feed whole, through the SDK's models, into a file of JSON lines each."""
    from atproto import Client  # noqa: PLC0415

    client = Client(base_url=f"{work.service}/xrpc")

    def act() -> None:
        for did in work.dids:
            feed, cursor = [], None
            while True:
                page = client.get_author_feed(did, cursor=cursor, limit=PAGE)
                feed.extend(page.feed)
                cursor = page.cursor
                if cursor is None:
                    break
            (work.folder / f"{did}.json").write_text("\n".join(item.model_dump_json() for item in feed))

    return act


def by_hand(work: Work) -> Callable[[], None]:
    """Threads that decode pages into tables and append them to one Parquet file."""
    import pyarrow.parquet as pq  # noqa: PLC0415
    import urllib3  # noqa: PLC0415

    from pipelines.lake.tables import AUTHOR_FEED  # noqa: PLC0415
    from pipelines.sources.rows import arrow_table, feed_item_row, microseconds  # noqa: PLC0415

    pool = urllib3.PoolManager(maxsize=THREADS)
    decoder = msgspec.json.Decoder(_Page)
    writing = threading.Lock()

    def act() -> None:
        now = datetime.now(UTC)
        with pq.ParquetWriter(work.folder / "author_feed.parquet", AUTHOR_FEED.schema, compression="zstd") as writer:

            def walk(did: str) -> None:
                cursor: str | None = ""
                rows = []
                seen = {"member_did": did, "observed_at": microseconds(now)}
                while cursor is not None:
                    url = f"{work.service}/xrpc/app.bsky.feed.getAuthorFeed?actor={did}&limit={PAGE}&cursor={cursor}"
                    page = decoder.decode(pool.request("GET", url).data)
                    rows += [feed_item_row(item, now) | seen for item in page.feed]
                    cursor = page.cursor
                    if len(rows) >= 1_000 or cursor is None:
                        table, rows = arrow_table(AUTHOR_FEED, rows), []
                        with writing:
                            writer.write_table(table)

            with ThreadPoolExecutor(THREADS) as threads:
                list(threads.map(walk, work.dids))

    return act


WAYS: Final = {"pull": pull, "example": example, "by hand": by_hand}


class _Page(msgspec.Struct):
    feed: list[msgspec.Raw]
    cursor: str | None = None


class _Server(asyncio.Protocol):
    """Just enough HTTP, so that the server is never what is measured."""

    def __init__(self, answer: Callable[[str], bytes]) -> None:
        self._answer = answer
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for request in requests:
            body = self._answer(request.split(b" ", 2)[1].decode())
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
            self._transport.write(head + body)


def serve(posts: int, told: Connection) -> None:
    """Serve feeds of so many items, made of the sample world's, each with a record key of its own."""
    from atproto import models  # noqa: PLC0415
    from atproto_client.exceptions import ModelError  # noqa: PLC0415

    views = Views(World().on(1))
    templates = []
    for item in (item for did in views.day.actors for item in views.day.feed(did)):
        template = msgspec.json.encode(views.feed_item(item))
        # Without the records that are broken on purpose: the SDK gives up on a page that holds one.
        with suppress(ModelError):
            models.get_or_create(msgspec.json.decode(template), models.AppBskyFeedDefs.FeedViewPost)
            templates.append(template.replace((item.repost or item.post).rkey.encode(), OWN_RKEY))

    def answer(target: str) -> bytes:
        url = urlsplit(target)
        params = parse_qs(url.query)
        if not url.path.endswith("getAuthorFeed"):
            return json.dumps({"profiles": [{"did": did, "postsCount": 0} for did in params["actors"]]}).encode()
        start = int(params["cursor"][0]) if "cursor" in params else 0
        offset = zlib.crc32(params["actor"][0].encode())
        items = b",".join(
            templates[(offset + number) % len(templates)].replace(OWN_RKEY, b"%013d" % number)
            for number in range(start, min(start + PAGE, posts))
        )
        following = b',"cursor":"%d"' % (start + PAGE) if start + PAGE < posts else b""
        return b'{"feed":[' + items + b"]" + following + b"}"

    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(lambda: _Server(answer), "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _median(measures: list[Measure], value: Callable[[Measure], float]) -> float:
    return statistics.median(value(measure) for measure in measures)


if __name__ == "__main__":
    main()
