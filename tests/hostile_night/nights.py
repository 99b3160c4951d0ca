"""A night in which strangers are hostile, each in another way: a pull, and the audit of everybody."""

from __future__ import annotations

import io
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pipelines import bluesky
from pipelines.audits import Auditing, AuditSummary
from pipelines.lake.working_folder import open_pipeline, recover
from pipelines.network.appview import AppView
from pipelines.network.connect import Network
from pipelines.network.pacing import Pacer
from pipelines.network.repositories import Repositories
from pipelines.sources.pull_run import PullRun
from pipelines.terminal import Terminal
from tests.hostile_night.strangers import ANSWERS, COMMIT, DEEP, STREAMS, endless
from tests.network.scripted_server import Reply, error_reply
from tests.sources.audits import known_records

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipelines.sample.appview.server import SampleServer
    from tests.conftest import Lake

WAYS: Final = (*STREAMS, *ANSWERS)
CREATORS: Final = ("trickles header bytes", "serves pages without end", "asks to wait for a quarter of an hour")
DOCUMENTS: Final = {
    "is a million deep": Reply(DEEP),
    "has no end": Reply(pieces=endless(b" " * 60_000)),
    "trickles": Reply(pieces=endless(b" "), trickle=0.1),
    "is of somebody else's making": COMMIT,
    "is an error": error_reply(500, "InternalServerError"),
}


@dataclass(frozen=True)
class NightOutcome:
    """What came of a night.

    Attributes:
        exit_code: The job's.
        run: What the pull counted.
        output: What it printed.
        audits: What the audits did.
        seconds: What the pull and the audits took.
    """

    exit_code: int
    run: PullRun
    output: str
    audits: AuditSummary
    seconds: tuple[float, float]


def hostile(creators: Sequence[str], members: Sequence[str]) -> tuple[dict[str, str], dict[str, Reply]]:
    """Give each creator, and each of the first members, a way of being hostile, and the next a bad document.

    Args:
        creators: Whose lists are followed.
        members: Who else is in them.
    """
    ways = dict(zip(members, WAYS, strict=False)) | dict(zip(creators, CREATORS, strict=True))
    documents = dict(zip(members[len(WAYS) :], DOCUMENTS.values(), strict=False))
    assert len(ways) == len(WAYS) + len(CREATORS)
    assert len(documents) == len(DOCUMENTS)
    return ways, documents


def hide_somebody(server: SampleServer) -> None:
    """Let the service count more members than it shows, so that each list's creator is asked."""

    def count_more(body: bytes) -> bytes:
        return re.sub(rb'(?<="listItemCount":)\d+', lambda count: b"%d" % (int(count[0]) + 5), body)

    for name in ("getList", "getStarterPack"):
        server.faults.mutate(count_more, nsid=f"app.bsky.graph.{name}")


def spend_night(
    lake: Lake,
    server: SampleServer,
    directory_url: str,
    *,
    requests_per_second: float = 10_000,
    **client: Any,
) -> NightOutcome:
    """Pull all lists and audit everybody, as the job does.

    Args:
        lake: Where it goes.
        server: The AppView.
        directory_url: Where DIDs are looked up.
        requests_per_second: The pace.
        client: Settings of the clients.
    """
    world, now = server.world, server.world.on(server.day).now
    appview = AppView(server.url, Pacer(requests_per_second), **client)
    network = Network(appview, Repositories(appview, directory_url), server.url)
    seeds = {
        "starter_packs": [pack.uri for pack in world.packs],
        "lists": [members.uri for members in world.lists],
        "actors": [],
    }
    run = PullRun(lambda: now, network)
    night = bluesky.Night(seeds, run)
    output = io.StringIO()
    pipeline = recover(open_pipeline(lake.pipeline_name))
    begun = time.monotonic()
    exit_code = bluesky.pull(pipeline, night, Terminal(output, width=200))
    pulled = time.monotonic()
    known_records(lake)
    audits = Auditing(pipeline, network, lambda: now).audit(bluesky.member_states(pipeline), sorted(run.followed))
    ended = time.monotonic()
    return NightOutcome(
        max(exit_code, audits.exit_code), run, output.getvalue(), audits, (pulled - begun, ended - pulled)
    )
