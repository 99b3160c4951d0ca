"""The live job: what repositories do between two nights, into the same lake.

    python pipelines/live.py jetstream                     the members of the lake's packs, streamed
    python pipelines/live.py jetstream --until-caught-up   what was missed since the last time, then end
    python pipelines/live.py jetstream --sample            the sample network on localhost, no internet needed

Exit codes: 0 all well; 1 it could not go on; 2 events are missing (the gap is named) and a pull has to fill it.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import dlt
from dlt.common.configuration import with_config
from filelock import FileLock, Timeout
from rich.console import Console

from pipelines.bluesky import explain
from pipelines.lake.bucket import (
    LakeError,
    check_lake,
    lake_location,
    use_atomic_local_files,
    use_project_settings,
)
from pipelines.lake.members import member_dids
from pipelines.lake.recovery import recover
from pipelines.network.jetstream import Jetstream, LegacyJetstream
from pipelines.panel import show_live
from pipelines.sources.micro_batches import BatchLimits, MicroBatches

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from pipelines.network.repo_events import Feed

MEMBERS_ARE_READ_EVERY: Final = 600.0
"""Seconds after which a run looks whether somebody else is to be followed."""

_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?")


def duration(text: str) -> float:
    """Read a duration like `90s`, `10m` or `1h30m` into seconds."""
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: 90s, 10m, 1h30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + seconds)


def positive(text: str) -> float:
    """Read a number above 0."""
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError("must be above 0")
    return number


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python pipelines/live.py",
        description="Bring the events of Bluesky's repositories into the lake, as they happen.",
        epilog="Settings: .dlt/config.toml. Exit codes: 0 all well, 1 could not go on, 2 events are missing.",
    )
    feeds = parser.add_subparsers(dest="feed", required=True, metavar="FEED")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--batch-seconds", type=positive, metavar="N", help="load a batch so long after its first event"
    )
    common.add_argument("--batch-events", type=int, metavar="N", help="load a batch with so many events")
    common.add_argument("--for", type=duration, dest="seconds", metavar="10m", help="end after so long")
    common.add_argument("--until-caught-up", action="store_true", help="end when what was missed is loaded")
    common.add_argument("--sample", action="store_true", help="the sample network on localhost, into its own lake")
    streams = argparse.ArgumentParser(add_help=False)
    streams.add_argument("--all", action="store_true", help="everybody's events, not only the members' of the packs")
    jetstream = feeds.add_parser(
        "jetstream", parents=[common, streams], help="Jetstream: filtered JSON over a websocket"
    )
    jetstream.add_argument("--v1", action="store_true", help="the older protocol")
    options = parser.parse_args(arguments)
    if options.batch_events is not None and options.batch_events < 1:
        parser.error("--batch-events takes a number from 1")
    return options


@with_config(sections=("sources", "repo_events"))
def batch_limits(
    seconds: float | None,
    events: int | None,
    batch_seconds: float = dlt.config.value,
    batch_events: int = dlt.config.value,
) -> BatchLimits:
    """Take the limits of a batch from the command line, else from dlt's configuration."""
    return BatchLimits(seconds or batch_seconds, events or batch_events)


@with_config(sections=("sources", "repo_events"))
def jetstream_feed(
    *,
    dids: Collection[str] | None,
    is_legacy: bool,
    jetstream_service: str = dlt.config.value,
    jetstream_legacy_service: str = dlt.config.value,
    collections: list[str] = dlt.config.value,
    stall_seconds: float = dlt.config.value,
    contact: str | None = None,
) -> Jetstream:
    """Make a Jetstream subscription from dlt's configuration."""
    kind = LegacyJetstream if is_legacy else Jetstream
    service = jetstream_legacy_service if is_legacy else jetstream_service
    return kind(service, dids=dids, collections=collections, stall_seconds=stall_seconds, contact=contact)


def followed(pipeline: dlt.Pipeline, options: argparse.Namespace) -> frozenset[str] | None:
    """Tell whose events are wanted; None for everybody's.

    Raises:
        LakeError: Nobody is followed yet.
    """
    if options.all:
        return None
    dids = member_dids(pipeline)
    if not dids:
        raise LakeError(
            "There are no members in the lake yet. Pull first (python pipelines/bluesky.py), or take everybody: --all"
        )
    return dids


def make_feed(pipeline: dlt.Pipeline, options: argparse.Namespace) -> tuple[Feed, Callable[[], None]]:
    """Make the feed that the command line names.

    Returns:
        The feed, and what is to be done between two batches.
    """
    feed = jetstream_feed(dids=followed(pipeline, options), is_legacy=options.v1)
    return feed, _refresh_members(pipeline, feed, options)


def _refresh_members(pipeline: dlt.Pipeline, feed: Jetstream, options: argparse.Namespace) -> Callable[[], None]:
    looked_at = time.monotonic()

    def refresh() -> None:
        nonlocal looked_at
        if options.all or time.monotonic() - looked_at < MEMBERS_ARE_READ_EVERY:
            return
        looked_at = time.monotonic()
        if dids := member_dids(pipeline):
            feed.follow(dids)

    return refresh


def run_live(batches: MicroBatches, options: argparse.Namespace, console: Console) -> int:
    """Load until told to stop, say what happened, and return the exit code."""
    is_over = threading.Event()
    failure: list[BaseException] = []

    def load() -> None:
        try:
            batches.load_until(is_over, seconds=options.seconds, until_caught_up=options.until_caught_up)
        except BaseException as error:
            failure.append(error)

    # Not in the main thread: there, dlt would take signals for itself and break a load off.
    loader = threading.Thread(target=load, name="loader")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: is_over.set())
    with show_live(batches, console):
        loader.start()
        while loader.is_alive():
            loader.join(0.2)
    print_summary(batches, console)
    if failure:
        raise failure[0]
    return 2 if batches.run.gaps else 0


def print_summary(batches: MicroBatches, console: Console) -> None:
    """Say what a run brought, and where it is."""
    run, seconds = batches.run, time.monotonic() - batches.run.begun_at
    facts = {
        "feed": f"{batches.feed.name} {batches.feed.service}",
        "events": f"{run.loaded_count:,} loaded in {run.batch_count:,} batches, {seconds:,.1f} s",
        "unreadable": f"{run.unreadable_count:,}, kept as they came" if run.unreadable_count else None,
        "gaps": f"{len(run.gaps):,}: a pull has to fill them" if run.gaps else None,
        "position": ", ".join(f"{name} {value}" for name, value in run.position.items()) if run.position else None,
        "lake": lake_location(batches.pipeline),
    }
    for name, fact in facts.items():
        if fact:
            console.print(f"{name:>10}  {fact}", markup=False, highlight=False)


def main(arguments: list[str] | None = None) -> int:
    """Run the job and return its exit code."""
    options = parse_arguments(arguments)
    use_project_settings()
    use_atomic_local_files()
    console = Console(soft_wrap=True)
    name = f"bluesky_sample_{options.feed}" if options.sample else f"bluesky_{options.feed}"
    try:
        pipeline = dlt.pipeline(name)
        check_lake(pipeline)
        with ExitStack() as stack:
            stack.enter_context(_only_one(pipeline))
            pipeline = recover(pipeline)
            feed, between_batches = make_feed(pipeline, options)
            limits = batch_limits(options.batch_seconds, options.batch_events)
            batches = MicroBatches(pipeline, feed, limits, between_batches=between_batches)
            return run_live(batches, options, console)
    except Exception as error:
        reason = explain(error)
        if reason is None:
            raise
        print(reason, file=sys.stderr)
        return 1


def _only_one(pipeline: dlt.Pipeline) -> FileLock:
    """Keep a second run of the same feed from using the same working folder."""
    path = Path(f"{pipeline.working_dir}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:
        raise LakeError(f"Another run of {pipeline.pipeline_name} is under way on this machine.") from error
    return lock


if __name__ == "__main__":
    sys.exit(main())
