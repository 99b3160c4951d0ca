"""The live job: what repositories do between two nights, into the same lake.

    python pipelines/live.py jetstream                     the members of the lake's packs, streamed
    python pipelines/live.py jetstream --until-caught-up   what was missed since the last time, then end
    python pipelines/live.py jetstream --sample            the sample network on localhost, no internet needed
    python pipelines/live.py firehose                      the same, from a relay itself
    python pipelines/live.py webhook                       events that are pushed to us, by Tap or by anybody
    python pipelines/live.py kafka                         events from a topic, to its end (--follow: and on)
    python pipelines/live.py compact                       few large files instead of many small ones

Exit codes: 0 all well; 1 it could not go on; 2 events are missing (the gap is named) and a pull has to fill it.
"""

from __future__ import annotations

import argparse
import re
import signal
import sys
import threading
import time
from collections.abc import Collection
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import dlt
from dlt.common.configuration import with_config
from dlt.common.typing import TSecretStrValue
from rich.console import Console

from pipelines.events.firehose import Firehose
from pipelines.events.jetstream import Jetstream, LegacyJetstream
from pipelines.events.kafka import Kafka, load_decoder
from pipelines.events.kafka_bridge import Bridge
from pipelines.events.kafka_client import KafkaUnusable
from pipelines.events.spool import Spool
from pipelines.events.stream import Stream
from pipelines.events.webhook import Webhook
from pipelines.explain import explain
from pipelines.lake.bucket import PROJECT_ROOT, LakeError, lake_location, use_project_settings
from pipelines.lake.compaction import compact
from pipelines.lake.filesystems import use_lake_filesystems
from pipelines.lake.members import read_members
from pipelines.lake.readback import LakeReader
from pipelines.lake.working_folder import only_one, open_pipeline, recover
from pipelines.panel import show_live
from pipelines.sample.streams.live_day import SECONDS as SAMPLE_SECONDS
from pipelines.sample.streams.live_day import live_day
from pipelines.sources.micro_batches import BatchLimits, MicroBatches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from dlt.common.pipeline import LoadInfo

    from pipelines.events.repo_event import Feed, Gap

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
    if not number > 0:
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
    streams = argparse.ArgumentParser(add_help=False)
    streams.add_argument("--until-caught-up", action="store_true", help="end when what was missed is loaded")
    streams.add_argument("--all", action="store_true", help="everybody's events, not only the members' of the packs")
    streams.add_argument("--sample", action="store_true", help="the sample network on localhost, into its own lake")
    jetstream = feeds.add_parser("jetstream", parents=[common, streams], help="filtered JSON over a websocket")
    jetstream.add_argument("--v1", action="store_true", help="the older protocol")
    feeds.add_parser("firehose", parents=[common, streams], help="a relay's stream itself, sorted out here")
    webhook = feeds.add_parser("webhook", parents=[common], help="events that Tap, or anybody, pushes to us")
    webhook.add_argument("--until-caught-up", action="store_true", help="end when what was pushed is loaded")
    kafka = feeds.add_parser("kafka", parents=[common], help="events in a topic")
    kafka.add_argument("--follow", action="store_true", help="wait for more at the end of the topic")
    kafka.add_argument("--produce", action="store_true", help="fill the topic from a Jetstream; nothing is loaded")
    kafka.add_argument("--all", action="store_true", help="with --produce: everybody's events")
    feeds.add_parser("compact", help="make few large files of the many small ones")
    options = parser.parse_args(arguments)
    if getattr(options, "batch_events", None) is not None and options.batch_events < 1:
        parser.error("--batch-events takes a number from 1")
    if options.feed == "kafka":
        options.until_caught_up, options.v1 = not options.follow, False
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
    dids = read_members(pipeline).dids
    if not dids:
        pull = "python pipelines/bluesky.py" + (" --sample" if getattr(options, "sample", False) else "")
        raise LakeError(f"There are no members in the lake yet. Pull first ({pull}), or take everybody: --all")
    return dids


@with_config(sections=("sources", "repo_events"))
def firehose_feed(
    *,
    dids: Collection[str] | None,
    firehose_service: str = dlt.config.value,
    collections: list[str] = dlt.config.value,
    stall_seconds: float = dlt.config.value,
    contact: str | None = None,
) -> Firehose:
    """Make a firehose subscription from dlt's configuration."""
    return Firehose(firehose_service, dids=dids, collections=collections, stall_seconds=stall_seconds, contact=contact)


@with_config(sections=("sources", "repo_events"))
def webhook_feed(
    *,
    webhook_password: TSecretStrValue = dlt.secrets.value,
    webhook_host: str = dlt.config.value,
    webhook_port: int = dlt.config.value,
    webhook_spool: str = dlt.config.value,
    webhook_spool_events: int = dlt.config.value,
) -> Webhook:
    """Make a webhook from dlt's configuration."""
    spool = Spool(PROJECT_ROOT / webhook_spool, most_events=webhook_spool_events)
    return Webhook(spool, host=webhook_host, port=webhook_port, password=webhook_password)


@with_config(sections=("sources", "repo_events"))
def kafka_feed(
    *,
    kafka_topic: str = dlt.config.value,
    kafka_settings: dict[str, Any] = dlt.secrets.value,
    kafka_value_decoder: str = dlt.config.value,
) -> Kafka:
    """Make a feed of a Kafka topic from dlt's configuration."""
    return Kafka(kafka_topic, kafka_settings, decode=load_decoder(kafka_value_decoder))


@with_config(sections=("sources", "repo_events"))
def kafka_bridge(
    stream: Stream, *, kafka_topic: str = dlt.config.value, kafka_settings: dict[str, Any] = dlt.secrets.value
) -> Bridge:
    """Make a bridge into a Kafka topic from dlt's configuration."""
    return Bridge(stream, kafka_topic, kafka_settings)


def begin_at(pipeline: dlt.Pipeline, options: argparse.Namespace) -> datetime | None:
    """Tell from when on a Jetstream that was never read is wanted: since the newest pull, which saw what was before."""
    return read_members(pipeline).pulled_at if options.feed == "jetstream" and not options.all else None


def make_feed(pipeline: dlt.Pipeline, options: argparse.Namespace) -> tuple[Feed, Callable[[], None]]:
    """Make the feed that the command line names.

    Returns:
        The feed, and what is to be done between two batches.
    """
    match options.feed:
        case "webhook":
            return webhook_feed(), lambda: None
        case "kafka":
            return kafka_feed(), lambda: None
        case "firehose":
            stream: Firehose | Jetstream = firehose_feed(dids=followed(pipeline, options))
        case _:
            stream = jetstream_feed(dids=followed(pipeline, options), is_legacy=options.v1)
    return stream, _refresh_members(pipeline, stream, options)


def _refresh_members(
    pipeline: dlt.Pipeline, feed: Firehose | Jetstream, options: argparse.Namespace
) -> Callable[[], None]:
    looked_at = time.monotonic()

    def refresh() -> None:
        nonlocal looked_at
        if options.all or time.monotonic() - looked_at < MEMBERS_ARE_READ_EVERY:
            return
        looked_at = time.monotonic()
        try:
            dids = read_members(pipeline).dids
        except Exception:  # The lake is out of reach. If it stays so, the loading says it.
            return
        if dids:
            feed.follow(dids)

    return refresh


@contextmanager
def sample_feed(pipeline: dlt.Pipeline, options: argparse.Namespace) -> Iterator[Feed]:
    """Serve the day after the newest sample pull on localhost, and make the feed of it."""
    pulled_at = read_members(pipeline).pulled_at
    dids = followed(pipeline, options)
    with live_day(options.feed, pulled_at, at_once=options.until_caught_up) as server:
        stream = (
            firehose_feed(dids=dids, firehose_service=server.url)
            if options.feed == "firehose"
            else jetstream_feed(
                dids=dids, is_legacy=options.v1, jetstream_service=server.url, jetstream_legacy_service=server.url
            )
        )
        # Each run has another port, but the network is the same.
        stream.service = "sample"
        if not options.until_caught_up and options.seconds is None:
            options.seconds = SAMPLE_SECONDS + 3
        yield stream


def run_live(batches: MicroBatches, options: argparse.Namespace, console: Console) -> int:
    """Load until told to stop, say what happened, and return the exit code.

    Raises:
        LakeError: DuckDB does not find the first batch, or the last, where dbt will look. What parts the two places
            parts them for every batch, so that the others are not looked for.
    """
    reader = LakeReader("bluesky_sample" if getattr(options, "sample", False) else "bluesky")
    newest: list[LoadInfo] = []

    def look_for_the_first(info: LoadInfo) -> None:
        if not newest:
            reader.expect(batches.pipeline, info)
        newest[:] = [info]

    batches.after_load = look_for_the_first
    with show_live(batches, console):
        _until_told(
            lambda is_over: batches.load_until(
                is_over, seconds=options.seconds, until_caught_up=options.until_caught_up
            )
        )
    if batches.run.batch_count > 1 and newest:
        reader.expect(batches.pipeline, newest[0])
    print_summary(batches, console)
    return 2 if batches.run.gaps else 0


def run_bridge(pipeline: dlt.Pipeline, options: argparse.Namespace, console: Console) -> int:
    """Fill the Kafka topic until told to stop."""
    bridge = kafka_bridge(jetstream_feed(dids=followed(pipeline, options), is_legacy=False))
    gaps: list[Gap] = []

    def name_gap(gap: Gap) -> None:
        gaps.append(gap)
        console.print(str(gap), markup=False, highlight=False)

    _until_told(
        lambda is_over: bridge.run_until(
            is_over, seconds=options.seconds, until_caught_up=not options.follow, on_gap=name_gap
        )
    )
    console.print(f"{bridge.sent:,} events sent", highlight=False)
    return 2 if gaps else 0


def run_compaction(pipeline: dlt.Pipeline, console: Console) -> int:
    """Compact the tables of the live leg, and say what was done."""
    done = compact(pipeline)
    console.print(
        f"{done.replaced:,} small files are now in {done.written:,} large ones too;"
        f" {done.deleted:,} that an earlier run replaced were deleted, {done.waiting:,} will be, an hour from now",
        highlight=False,
    )
    return 0


def _until_told(work: Callable[[threading.Event], None]) -> None:
    """Do something in a thread until SIGTERM or SIGINT asks for its end; a second one does not wait for it.

    Not in the main thread: there, dlt would take the signals for itself and break a load off.
    """
    is_over = threading.Event()
    failure: list[BaseException] = []

    def run() -> None:
        try:
            work(is_over)
        except BaseException as error:
            failure.append(error)

    def ask(number: int, _: object) -> None:
        if is_over.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        is_over.set()

    handlers = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    worker = threading.Thread(target=run, name="loader", daemon=True)
    worker.start()
    while worker.is_alive():
        worker.join(0.2)
    for number, handler in handlers.items():
        signal.signal(number, handler)
    if failure:
        raise failure[0]


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
    console = Console(soft_wrap=True)
    use_lake_filesystems()
    try:
        use_project_settings()
        pipeline = open_pipeline(_pipeline_name(options))
        with only_one(pipeline.pipeline_name):
            if options.feed == "compact":
                return run_compaction(pipeline, console)
            if options.feed == "kafka" and options.produce:
                return run_bridge(pipeline, options, console)
            pipeline = recover(pipeline)
            limits = batch_limits(options.batch_seconds, options.batch_events)
            if getattr(options, "sample", False):
                with sample_feed(pipeline, options) as feed:
                    batches = MicroBatches(pipeline, feed, limits, begin_at=begin_at(pipeline, options))
                    return run_live(batches, options, console)
            feed, between_batches = make_feed(pipeline, options)
            batches = MicroBatches(
                pipeline, feed, limits, begin_at=begin_at(pipeline, options), between_batches=between_batches
            )
            return run_live(batches, options, console)
    except KeyboardInterrupt:
        print("Interrupted. Nothing is lost: the next run goes on from the last complete load.", file=sys.stderr)
        return 130
    except Exception as error:
        has_sample = getattr(options, "sample", None) is False
        sample = f"python pipelines/live.py {options.feed} --sample" if has_sample else None
        reason = str(error) if isinstance(error, KafkaUnusable) else explain(error, sample=sample)
        if reason is None:
            raise
        print(reason, file=sys.stderr)
        return 1


def _pipeline_name(options: argparse.Namespace) -> str:
    """Name a pipeline for each feed, so that two feeds can run at once; each has its own state."""
    if getattr(options, "sample", False):
        return f"bluesky_sample_{options.feed}"
    return "bluesky_kafka_bridge" if getattr(options, "produce", False) else f"bluesky_{options.feed}"


if __name__ == "__main__":
    sys.exit(main())
