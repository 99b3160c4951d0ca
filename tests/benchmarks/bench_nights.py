"""What many members cost, night after night, against the sample server: requests, CPU, memory, and the state's size.

    python -m tests.benchmarks.bench_nights --members 15000 --nights 11 [--posts 20] [--ask-all] [--spread N]

Of the members one in three writes every day, and two have been silent for from one day to 120. Each night is the pull
in a process of its own, as it is where a scheduler starts it, and the server another one. CPU is the pull's, after its
imports. `--loads N`: instead, one first night in loads of N items, from a server that costs little, and what the loads
cost by tenths of them:

    python -m tests.benchmarks.bench_nights --members 15000 --posts 334 --loads 100000
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.benchmarks.bench_pull import PULL_ONLY, Work, server

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_processes = multiprocessing.get_context("spawn")


def main() -> None:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description="Measure nights of many members.")
    parser.add_argument("--members", type=int, default=15_000)
    parser.add_argument("--nights", type=int, default=11)
    parser.add_argument("--posts", type=int, default=20)
    parser.add_argument("--ask-all", action="store_true", help="ask for every feed each night")
    parser.add_argument("--spread", type=int, default=1, help="as the option of the job")
    parser.add_argument("--loads", type=int, help="only a first night, in loads of so many items")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        (first_night_in_loads if options.loads else nights)(options, folder)
    finally:
        shutil.rmtree(folder)


def nights(options: argparse.Namespace, folder: Path) -> None:
    """Measure one night after the other."""
    told, telling = _processes.Pipe()
    serving = _processes.Process(target=serve, args=(options.members, options.posts, telling), daemon=True)
    serving.start()
    url, pack = told.recv()
    settings = {
        "service": url,
        "plc_directory": url,
        "starter_packs": json.dumps([pack]),
        "ask_all_up_to": 10**9 if options.ask_all else 500,
        "spread": options.spread,
    }
    try:
        for day in range(1, options.nights + 1):
            told.send(day)
            told.recv()
            measure(folder, day, settings, None)
    finally:
        serving.kill()


def first_night_in_loads(options: argparse.Namespace, folder: Path) -> None:
    """Measure one first night of actors, load by load."""
    with server(options.posts) as (url, _):
        actors = Work(url, options.members, options.posts, folder).dids
        settings = {"service": url, "starter_packs": "[]", "actors": json.dumps(actors)}
        loads = measure(folder, 1, settings, options.loads)
    full = loads[1:-1]  # The first reads the profiles, the last is not full.
    for tenth in range(10):
        some = full[tenth * len(full) // 10 : (tenth + 1) * len(full) // 10]
        cost = 1e6 * sum(seconds for seconds, _ in some) / max(1, sum(items for _, items in some))
        print(f"  {tenth + 1:>2}. tenth of {len(loads)} loads: {cost:,.1f} us of CPU an item")


def measure(folder: Path, day: int, settings: dict[str, Any], items_per_load: int | None) -> list[tuple[float, int]]:
    """Pull a night in a process of its own, print what it cost, and give the seconds and items of its loads."""
    ready, result = _processes.Pipe()
    job = _processes.Process(target=night, args=(folder, day, settings, items_per_load, result))
    job.start()
    measured = ready.recv()
    job.join()
    loads: list[tuple[float, int]] = measured.pop("loads")
    print(f"night {day:>2}: " + ", ".join(f"{value:,.1f} {name}" for name, value in measured.items()), flush=True)
    return loads


def night(folder: Path, day: int, settings: dict[str, Any], items_per_load: int | None, told: Connection) -> None:
    """Pull one night, and tell what it cost."""
    os.environ |= {
        "DLT_DATA_DIR": str(folder / "dlt"),
        "DLT_LOCAL_DIR": str(folder),
        "SOURCES__BLUESKY__REQUESTS_PER_SECOND": "1000000",
    } | {f"SOURCES__BLUESKY__{name.upper()}": str(value) for name, value in settings.items()}
    from pipelines import bluesky  # noqa: PLC0415
    from pipelines.sample.world.days import evening  # noqa: PLC0415
    from pipelines.sources.pull_run import ITEMS_PER_LOAD, LoadRoom, PullRun  # noqa: PLC0415

    loads: list[tuple[float, int]] = []

    class Measured(bluesky.Night):
        def load(self, *arguments: Any) -> None:
            before, items = time.process_time(), self.run.item_count
            super().load(*arguments)
            loads.append((time.process_time() - before, self.run.item_count - items))

    bluesky.Night = Measured  # type: ignore[misc]
    run = PullRun(lambda: evening(day), load_room=LoadRoom(items_per_load or ITEMS_PER_LOAD))
    begun, cpu = time.monotonic(), time.process_time()
    exit_code = bluesky.main(PULL_ONLY, run=run)
    assert exit_code == 0, exit_code
    cpu = time.process_time() - cpu
    states = sorted((folder / "_data" / "lake" / "bluesky" / "_dlt_pipeline_state").glob("*.jsonl"))
    member_count = len(run.followed)
    told.send(
        {
            "members": member_count,
            "feeds": len(run.asked),
            "items": run.item_count,
            "requests": run.stats.requests,
            "requests a member": run.stats.requests / member_count,
            "s of CPU": cpu,
            "ms of CPU a member": 1_000 * cpu / member_count,
            "s by the clock": time.monotonic() - begun,
            "MiB at most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            "KB of state": max((path.stat().st_size for path in states[-1:]), default=0) / 1_000,
            "loads": loads,
        }
    )


def serve(members: int, posts: int, told: Connection) -> None:
    """Serve the evening of each day that is told."""
    from pipelines.sample.appview.bulk import BulkWorld  # noqa: PLC0415
    from pipelines.sample.appview.server import SampleServer  # noqa: PLC0415

    world = BulkWorld(members=members, posts_per_member=posts, posts_per_day=5, has_silent=True)
    with SampleServer(world) as server:
        told.send((server.url, world.packs[0].uri))
        while True:
            server.day = told.recv()
            server.requests.clear()
            told.send(None)


if __name__ == "__main__":
    main()
