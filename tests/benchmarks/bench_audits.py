"""What the audits of many members cost the loading process, and what of it tables of many rows spare.

    python -m tests.benchmarks.bench_audits [--audits 1000]

The sample's members are audited again and again, against its server in another process: `first`, where the lake has
nothing of them and keeps all, and `unchanged`, where each audit is one row. `a table each` hands every table to dlt by
itself. CPU is that of asking and loading, after imports.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_processes = multiprocessing.get_context("spawn")
_WAYS: Final = {"tables of many": 500, "a table each": 1}


def main() -> None:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description="Measure the audits of many members.")
    parser.add_argument("--audits", type=int, default=1_000)
    options = parser.parse_args()
    told, telling = _processes.Pipe()
    serving = _processes.Process(target=serve, args=(telling,), daemon=True)
    serving.start()
    url = told.recv()
    try:
        for is_first in (False, True):
            for name, rows in _WAYS.items():
                folder = Path(tempfile.mkdtemp())
                ready, result = _processes.Pipe()
                job = _processes.Process(target=audit, args=(url, folder, options.audits, is_first, rows, result))
                job.start()
                seconds, outcomes = ready.recv()
                job.join()
                shutil.rmtree(folder)
                milliseconds = 1_000 * seconds / options.audits
                print(f"{'first' if is_first else 'unchanged'}, {name}: {milliseconds:.1f} ms an audit; {outcomes}")
    finally:
        serving.kill()


def audit(  # noqa: PLR0917 (a process takes them by place)
    url: str, folder: Path, count: int, is_first: bool, rows_per_table: int, told: Connection
) -> None:
    """Audit so many members, and tell what CPU it took."""
    os.environ |= {"DLT_DATA_DIR": str(folder / "dlt"), "DLT_LOCAL_DIR": str(folder)}
    from pipelines.lake.bucket import use_project_settings  # noqa: PLC0415
    from pipelines.lake.filesystems import use_lake_filesystems  # noqa: PLC0415
    from pipelines.lake.loads import load  # noqa: PLC0415
    from pipelines.lake.working_folder import open_pipeline, recover  # noqa: PLC0415
    from pipelines.network.appview import AppView  # noqa: PLC0415
    from pipelines.network.connect import Network  # noqa: PLC0415
    from pipelines.network.pacing import Pacer  # noqa: PLC0415
    from pipelines.network.repositories import Repositories  # noqa: PLC0415
    from pipelines.sample.world.truth import FOLLOW, LIKE  # noqa: PLC0415
    from pipelines.sample.world.world import World  # noqa: PLC0415
    from pipelines.sources import table_batch  # noqa: PLC0415
    from pipelines.sources.feed_audits import Audits, feed_audits  # noqa: PLC0415
    from pipelines.sources.feed_walk import AuditState, MemberState  # noqa: PLC0415
    from pipelines.sources.member_records import KeptCollections  # noqa: PLC0415

    use_lake_filesystems()
    use_project_settings()
    vars(table_batch)["ROWS_PER_TABLE"] = rows_per_table
    day = World().on(1)
    dids = list(day.followed(day.world.packs[0].list))
    states = {
        did: MemberState(cursor=None, pulled_at=day.now.isoformat(), swept_at="", end_uri=None, doubtful_end_uri=None)
        for did in dids
    }
    if not is_first:
        for did, state in states.items():
            state["audit"] = AuditState(
                audited_at=day.now.isoformat(), rev=day.rev(did), is_whole=True, collections=[FOLLOW, LIKE]
            )
    appview = AppView(url, Pacer(1_000_000))
    network = Network(appview, Repositories(appview, url), url)
    kept = KeptCollections(frozenset({FOLLOW, LIKE}), lambda _: iter(()))
    audits = Audits(network, lambda: day.now, lambda _: {}, kept)
    pipeline = recover(open_pipeline("bluesky"))
    begun = time.process_time()
    audits.begin(states, (dids * count)[:count])
    while audits.waiting_count:
        load(pipeline, feed_audits(audits))
    told.send((time.process_time() - begun, dict(audits.outcomes)))


def serve(told: Connection) -> None:
    """Serve the sample's first evening."""
    from pipelines.sample.appview.server import SampleServer  # noqa: PLC0415
    from pipelines.sample.world.world import World  # noqa: PLC0415

    with SampleServer(World()) as server:
        told.send(server.url)
        while True:
            time.sleep(3_600)


if __name__ == "__main__":
    main()
