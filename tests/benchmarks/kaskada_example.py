"""What Kaskada's Bluesky example does, for bench_live to stand beside: posts of the firehose, counted by language.

    python kaskada_example.py URL COUNT

Kaskada needs an environment of its own (Python 3.11, `kaskada==0.6.1`, `atproto`). The example as it was published does
not run with it any more: its source is made and fed by coroutines now, which the example does not await. Here they are,
and the rest is as it was: one row at a time, of the posts alone. Prints the seconds that `COUNT` messages took.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import kaskada  # type: ignore[import-not-found]
import pyarrow as pa
from atproto import CAR, AsyncFirehoseSubscribeReposClient, models, parse_subscribe_repos_message

RECORD = pa.struct(
    [("created_at", pa.string()), ("text", pa.string()), ("langs", pa.list_(pa.string())), ("py_type", pa.string())]
)
POST = pa.schema(
    [("record", RECORD), ("uri", pa.string()), ("cid", pa.string()), ("author", pa.string()), ("ts", pa.float64())]
)


def posts_of(commit: models.ComAtprotoSyncSubscribeRepos.Commit) -> list[dict[str, Any]]:
    """Read the posts that a commit created."""
    blocks = CAR.from_bytes(commit.blocks).blocks
    rows = []
    for op in commit.ops:
        if op.action != "create" or not op.cid or not op.path.startswith("app.bsky.feed.post/"):
            continue
        record = models.get_or_create(blocks.get(op.cid), strict=False)
        if isinstance(record, models.AppBskyFeedPost.Record):
            uri = f"at://{commit.repo}/{op.path}"
            rows.append(
                {"record": dict(record), "uri": uri, "cid": str(op.cid), "author": commit.repo, "ts": time.time()}
            )
    return rows


async def main(url: str, count: int) -> None:
    """Read `count` messages."""
    kaskada.init_session()
    posts = await kaskada.sources.PyDict.create(schema=POST, time_column="ts", key_column="author", time_unit="s")
    client = AsyncFirehoseSubscribeReposClient(base_uri=f"{url}/xrpc")
    left, seen = count, 0

    async def receive(message: Any) -> None:
        nonlocal left
        commit = parse_subscribe_repos_message(message)
        if isinstance(commit, models.ComAtprotoSyncSubscribeRepos.Commit):
            for row in posts_of(commit):
                await posts.add_rows(row)
        left -= 1
        if not left:
            await client.stop()

    async def count_by_language() -> None:
        nonlocal seen
        by_language = posts.with_key(posts.col("record").col("langs").index(0))
        async for _ in by_language.count().run_iter(kind="row", mode="live"):
            seen += 1

    counting = asyncio.create_task(count_by_language())
    begun = time.perf_counter()
    await client.start(receive)
    print(time.perf_counter() - begun)
    assert seen
    counting.cancel()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
