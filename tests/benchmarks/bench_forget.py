"""How long it takes to forget somebody, and how much memory.

python tests/benchmarks/bench_forget.py FOLDER [ROWS]    a million rows, if not said otherwise

Every hundredth row is a repost of the person, every fiftieth quotes them, and every thousandth is their own; so each
file has to be written anew, which is the dearest case. Posts are of different words, as zstd would make nothing of one.
"""

from __future__ import annotations

import json
import os
import random
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import Any

ROWS_A_FILE = 50_000
PERSON = "did:plc:mpyqgmifpweqk32rnmzeisfp"
LETTERS = "abcdefghijklmnopqrstuvwxyz234567"
WORDS = ["".join(random.Random(number).choices(LETTERS[:26], k=2 + number % 9)) for number in range(20_000)]


def view(dice: random.Random, did: str, key: str) -> dict[str, Any]:
    cid = "bafyrei" + "".join(dice.choices(LETTERS, k=52))
    avatar = f"https://cdn.bsky.app/img/avatar/plain/{did}/bafkrei{''.join(dice.choices(LETTERS, k=52))}@jpeg"
    author = {"did": did, "handle": f"{did[-12:]}.bsky.social", "displayName": " ".join(dice.sample(WORDS, 2)),
              "avatar": avatar, "labels": [], "createdAt": "2024-05-27T23:00:00.000Z"}  # fmt: skip
    text = " ".join(dice.choices(WORDS, k=35))
    record = {"$type": "app.bsky.feed.post", "createdAt": "2026-03-01T12:00:00.000Z", "langs": ["en"], "text": text}
    return {"uri": f"at://{did}/app.bsky.feed.post/{key}", "cid": cid, "author": author, "record": record,
            "replyCount": 1, "repostCount": 2, "likeCount": dice.randrange(900), "quoteCount": 0,
            "indexedAt": "2026-03-01T12:00:01.000Z", "viewer": {}, "labels": []}  # fmt: skip


def item(dice: random.Random, number: int, members: list[str]) -> tuple[str, bytes]:
    member, key = members[number % len(members)], f"3m{number:011d}"
    if number % 1_000 == 0:
        member = PERSON
    post = view(dice, PERSON if number % 100 == 1 else member, key)
    # What a usual item has beside its post: a thread, as large as the post itself.
    reply = {"root": view(dice, dice.choice(members), key), "parent": view(dice, dice.choice(members), key)}
    feed_item: dict[str, Any] = {"post": post, "reply": reply}
    if number % 50 == 2:
        quoted = view(dice, PERSON, key)
        post["embed"] = {
            "$type": "app.bsky.embed.record#view",
            "record": {"$type": "app.bsky.embed.record#viewRecord", **quoted},
        }
    if number % 100 == 1:
        feed_item["reason"] = {
            "$type": "app.bsky.feed.defs#reasonRepost",
            "by": view(dice, member, key)["author"],
            "uri": f"at://{member}/app.bsky.feed.repost/{key}",
            "indexedAt": "2026-03-01T12:00:02.000Z",
        }
    return member, json.dumps(feed_item, separators=(",", ":")).encode()


def write_lake(dataset: Path, rows: int) -> None:
    import msgspec  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    from pipelines.lake.tables import AUTHOR_FEED  # noqa: PLC0415
    from pipelines.sources.rows import arrow_table, feed_item_row, from_microseconds, microseconds  # noqa: PLC0415

    dice = random.Random(1)
    members = ["did:plc:" + "".join(dice.choices(LETTERS, k=24)) for _ in range(200)]
    observed_at = from_microseconds(1_772_370_000_000_000)
    folder = dataset / "author_feed" / "2026-03-01"
    folder.mkdir(parents=True)
    for begin in range(0, rows, ROWS_A_FILE):
        made = []
        for number in range(begin, min(rows, begin + ROWS_A_FILE)):
            member, raw = item(dice, number, members)
            row = feed_item_row(msgspec.Raw(raw), observed_at)
            made.append(row | {"member_did": member, "observed_at": microseconds(observed_at)})
        pq.write_table(arrow_table(AUTHOR_FEED, made), folder / f"1795893356.{begin}.x.parquet", compression="zstd")


def main(folder: Path, rows: int) -> None:
    from pipelines import bluesky  # noqa: PLC0415
    from pipelines.lake.bucket import PROJECT_ROOT  # noqa: PLC0415

    project, dataset = folder / "project", folder / "project" / "_data" / "lake" / "bluesky"
    if not dataset.exists():
        write_lake(folder / "made", rows)
        (project / ".dlt").mkdir(parents=True)
        shutil.copy(PROJECT_ROOT / ".dlt" / "config.toml", project / ".dlt")
        dataset.parent.mkdir(parents=True)
        (folder / "made").rename(dataset)
    size = sum(file.stat().st_size for file in dataset.rglob("*.parquet"))
    os.environ |= {"DLT_PROJECT_DIR": str(project), "DLT_DATA_DIR": str(folder / "dlt")}
    before = resource.getrusage(resource.RUSAGE_SELF)
    begun = time.perf_counter()
    assert bluesky.main(["--forget", PERSON]) == 0
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(f"{rows:,} rows, {size / 1e9:.2f} GB of Parquet: {seconds:.0f} s, {cpu:.0f} s of CPU,")
    print(f"{seconds / (size / 1e9):.0f} s a GB, {after.ru_maxrss / 1024:,.0f} MiB at most")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
