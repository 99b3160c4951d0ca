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

if __name__ == "__main__":
    from pipelines.interruption import end_at_once_from_now

    end_at_once_from_now()  # The imports below take seconds.

import argparse
import re
import sys
import threading
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import dlt
from dlt.common.configuration import with_config
from dlt.common.typing import TSecretStrValue

from pipelines.command import run_command
from pipelines.compacting import run_compaction
from pipelines.events.firehose import Firehose
from pipelines.events.jetstream import Jetstream, LegacyJetstream
from pipelines.events.kafka import Kafka, load_decoder
from pipelines.events.kafka_bridge import Bridge
from pipelines.events.kafka_client import KafkaUnusable
from pipelines.events.spool import Spool
from pipelines.events.stream import DEFAULT_LIMITS, Stream, StreamLimits
from pipelines.events.webhook import Webhook
from pipelines.explain import explain
from pipelines.interruption import on_signal
from pipelines.lake.bucket import PROJECT_ROOT, LakeError, lake_location, use_project_settings
from pipelines.lake.filesystems import use_lake_filesystems
from pipelines.lake.forgotten import read_forgotten
from pipelines.lake.members import Members, read_members
from pipelines.lake.readback import LakeReader, expect_same_lake
from pipelines.lake.working_folder import only_one, open_pipeline, recover
from pipelines.network.service_clock import ServiceClock
from pipelines.panel import show_live
from pipelines.sample.streams.live_day import SECONDS as SAMPLE_SECONDS
from pipelines.sample.streams.live_day import live_day
from pipelines.sources.hidden_members import OPT_OUT
from pipelines.sources.micro_batches import BatchLimits, MicroBatches

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlt.common.pipeline import LoadInfo

    from pipelines.events.repo_event import Feed, Gap
    from pipelines.terminal import Terminal

MEMBERS_ARE_READ_EVERY: Final = 600.0
"""Seconds after which a run looks whether somebody else is to be followed."""


@dataclass(frozen=True)
class LoadOptions:
    """What the command line says of a run that loads.

    Attributes:
        batch_seconds: A batch is loaded so long after its first event; None for what the configuration says.
        batch_events: A batch is loaded with so many events; None for what the configuration says.
        seconds: The run ends after so long; None for never.
        until_caught_up: Whether it ends when what was there at its start is loaded.
    """

    batch_seconds: float | None
    batch_events: int | None
    seconds: float | None
    until_caught_up: bool


@dataclass(frozen=True)
class StreamOptions(LoadOptions):
    """What the command line says of a run that loads what a stream delivers.

    Attributes:
        feed: Which stream.
        is_legacy: Whether Jetstream is read by the older protocol.
        takes_all: Whether everybody's events are wanted, not only the members'.
        is_sample: Whether the sample network is streamed, into its own lake.
    """

    feed: Literal["jetstream", "firehose"]
    is_legacy: bool
    takes_all: bool
    is_sample: bool


@dataclass(frozen=True)
class WebhookOptions(LoadOptions):
    """What the command line says of a run that loads what is pushed."""


@dataclass(frozen=True)
class KafkaOptions(LoadOptions):
    """What the command line says of a run that loads what is in a topic."""


@dataclass(frozen=True)
class BridgeOptions:
    """What the command line says of a run that fills a topic from a Jetstream.

    Attributes:
        seconds: The run ends after so long; None for never.
        until_caught_up: Whether it ends when what was there at its start is sent.
        takes_all: Whether everybody's events are wanted, not only the members'.
    """

    seconds: float | None
    until_caught_up: bool
    takes_all: bool


@dataclass(frozen=True)
class CompactOptions:
    """What the command line says of a compaction.

    Attributes:
        is_sample: Whether the sample's lake is meant.
    """

    is_sample: bool


@dataclass(frozen=True)
class LoadedStream:
    """What a run brought.

    Attributes:
        event_count: Events that it loaded.
        gaps: One line for each stretch of time that is missing.
        ended_by: Number of the signal that ended it, if one did.
    """

    event_count: int
    gaps: tuple[str, ...]
    ended_by: int | None

    @property
    def exit_code(self) -> int:
        """The exit code of the job, if this was all of it."""
        return 2 if self.gaps else 0


Options: TypeAlias = StreamOptions | WebhookOptions | KafkaOptions | BridgeOptions | CompactOptions

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


def natural(text: str) -> int:
    """Read a whole number from 1."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def parse_arguments(arguments: list[str] | None = None) -> Options:
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
    common.add_argument("--batch-events", type=natural, metavar="N", help="load a batch with so many events")
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
    compaction = feeds.add_parser("compact", help="make few large files of the many small ones")
    compaction.add_argument("--sample", action="store_true", help="those of the sample's lake")
    return _typed(parser.parse_args(arguments))


def _typed(parsed: argparse.Namespace) -> Options:
    if parsed.feed == "compact":
        return CompactOptions(parsed.sample)
    is_kafka = parsed.feed == "kafka"
    until_caught_up = not parsed.follow if is_kafka else parsed.until_caught_up
    if is_kafka and parsed.produce:
        return BridgeOptions(parsed.seconds, until_caught_up, parsed.all)
    load = (parsed.batch_seconds, parsed.batch_events, parsed.seconds, until_caught_up)
    match parsed.feed:
        case "kafka":
            return KafkaOptions(*load)
        case "webhook":
            return WebhookOptions(*load)
        case feed:
            return StreamOptions(*load, feed, feed == "jetstream" and parsed.v1, parsed.all, parsed.sample)


@with_config(sections=("sources", "repo_events"))
def batch_limits(
    seconds: float | None,
    events: int | None,
    batch_seconds: float = dlt.config.value,
    batch_events: int = dlt.config.value,
) -> BatchLimits:
    """Take the limits of a batch from the command line, else from dlt's configuration."""
    return BatchLimits(seconds or batch_seconds, events or batch_events)


@with_config(sections=("sources", "bluesky"))
def lake_members(pipeline: dlt.Pipeline, *, follow_blocked: bool = False) -> Members:
    """Read whom the lake follows, by the pull's settings."""
    return read_members(pipeline, follow_blocked=follow_blocked)


def heard(collections: list[str]) -> list[str]:
    """Add opt-outs to the types of records that the settings name: whoever opts out is withheld at once."""
    return [*collections, OPT_OUT] if collections else []


@with_config(sections=("sources", "repo_events"))
def jetstream_feed(
    *,
    dids: Collection[str] | None,
    is_legacy: bool,
    limits: StreamLimits,
    jetstream_service: str = dlt.config.value,
    jetstream_legacy_service: str = dlt.config.value,
    collections: list[str] = dlt.config.value,
    stall_seconds: float = dlt.config.value,
    contact: str | None = None,
) -> Jetstream:
    """Make a Jetstream subscription from dlt's configuration."""
    kind = LegacyJetstream if is_legacy else Jetstream
    service = jetstream_legacy_service if is_legacy else jetstream_service
    return kind(
        service, dids=dids, collections=heard(collections), stall_seconds=stall_seconds, contact=contact, limits=limits
    )


@with_config(sections=("sources", "repo_events"))
def firehose_feed(
    *,
    dids: Collection[str] | None,
    limits: StreamLimits,
    firehose_service: str = dlt.config.value,
    collections: list[str] = dlt.config.value,
    stall_seconds: float = dlt.config.value,
    contact: str | None = None,
) -> Firehose:
    """Make a firehose subscription from dlt's configuration."""
    return Firehose(
        firehose_service,
        dids=dids,
        collections=heard(collections),
        stall_seconds=stall_seconds,
        contact=contact,
        limits=limits,
    )


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


def followed(members: Members, *, is_sample: bool = False) -> frozenset[str]:
    """Tell whose events are wanted where not everybody's are.

    Raises:
        LakeError: Nobody is followed yet.
    """
    if not members.dids:
        pull = "python pipelines/bluesky.py" + (" --sample" if is_sample else "")
        raise LakeError(f"There are no members in the lake yet. Pull first ({pull}), or take everybody: --all")
    return members.dids


def stream_feed(
    options: StreamOptions, dids: Collection[str] | None, limits: StreamLimits, *, sample_url: str | None = None
) -> Firehose | Jetstream:
    """Make the stream that the command line names.

    Args:
        options: The command line.
        dids: Whose events are wanted; None for everybody's.
        limits: How long it waits, and how much it holds.
        sample_url: Where the sample network is served, if it is to be streamed.
    """
    if sample_url is None:
        if options.feed == "firehose":
            return firehose_feed(dids=dids, limits=limits)
        return jetstream_feed(dids=dids, is_legacy=options.is_legacy, limits=limits)
    stream = (
        firehose_feed(dids=dids, limits=limits, firehose_service=sample_url)
        if options.feed == "firehose"
        else jetstream_feed(
            dids=dids,
            is_legacy=options.is_legacy,
            limits=limits,
            jetstream_service=sample_url,
            jetstream_legacy_service=sample_url,
        )
    )
    # Each run has another port, but the network is the same.
    stream.service = "sample"
    return stream


def load_stream(
    pipeline: dlt.Pipeline, options: StreamOptions, members: Members, limits: StreamLimits, console: Terminal
) -> LoadedStream:
    """Load what a stream delivers.

    Args:
        pipeline: Where to.
        options: The command line.
        members: Whom the lake follows, and when they were pulled.
        limits: How long the stream waits, and how much it holds.
        console: Where to say what happens.
    """
    dids = None if options.takes_all else followed(members, is_sample=options.is_sample)
    # A Jetstream that was never read begins with what happened since the newest pull, which saw what was before.
    begin_at = members.pulled_at if options.feed == "jetstream" and not options.takes_all else None
    batch = batch_limits(options.batch_seconds, options.batch_events)
    if options.is_sample:
        if options.seconds is None and not options.until_caught_up:
            options = replace(options, seconds=SAMPLE_SECONDS + 3)
        with live_day(options.feed, members.pulled_at, at_once=options.until_caught_up) as server:
            feed = stream_feed(options, dids, limits, sample_url=server.url)
            return run_live(MicroBatches(pipeline, feed, batch, clock=feed.clock, begin_at=begin_at), options, console)
    feed = stream_feed(options, dids, limits)
    refresh = (lambda: None) if options.takes_all else _refresh_members(pipeline, feed)
    batches = MicroBatches(pipeline, feed, batch, clock=feed.clock, begin_at=begin_at, between_batches=refresh)
    return run_live(batches, options, console)


def catch_up(console: Terminal, *, is_sample: bool, limits: StreamLimits = DEFAULT_LIMITS) -> LoadedStream | None:
    """Load what members did since a Jetstream was last read, before a pull; None where nobody is followed yet.

    Args:
        console: Where to say what happens.
        is_sample: Whether the sample network is streamed, into its own lake.
        limits: How long the stream waits, and how much it holds.

    Raises:
        Exception: It cannot go on. What was loaded is in the lake, and the next run goes on behind it.
    """
    options = StreamOptions(
        batch_seconds=None,
        batch_events=None,
        seconds=None,
        until_caught_up=True,
        feed="jetstream",
        is_legacy=False,
        takes_all=False,
        is_sample=is_sample,
    )
    pipeline = _open_pipeline(options)
    with only_one(pipeline.pipeline_name):
        pipeline = recover(pipeline)
        members = lake_members(pipeline)
        return load_stream(pipeline, options, members, limits, console) if members.dids else None


def _refresh_members(pipeline: dlt.Pipeline, feed: Firehose | Jetstream) -> Callable[[], None]:
    looked_at = time.monotonic()

    def refresh() -> None:
        nonlocal looked_at
        if time.monotonic() - looked_at < MEMBERS_ARE_READ_EVERY:
            return
        looked_at = time.monotonic()
        try:
            read_forgotten(pipeline)  # Somebody may have been forgotten on another machine.
            dids = lake_members(pipeline).dids
        except Exception:  # The lake is out of reach. If it stays so, the loading says it.
            return
        if dids:
            feed.follow(dids)

    return refresh


def run_live(batches: MicroBatches, options: LoadOptions, console: Terminal) -> LoadedStream:
    """Load until told to stop, and say what happened.

    Raises:
        LakeError: DuckDB does not find the first batch where dbt will look. What parts the two places parts them for
            every batch, so that the others are not looked for.
    """
    reader = LakeReader(_reading_pipeline(options))

    def look_for_the_first(info: LoadInfo) -> None:
        if batches.run.batch_count == 1:
            reader.expect(batches.pipeline, info)

    batches.after_load = look_for_the_first
    with show_live(batches, console):
        ended_by = _until_told(
            lambda is_over: batches.load_until(
                is_over, seconds=options.seconds, until_caught_up=options.until_caught_up
            )
        )
    print_summary(batches, console)
    return LoadedStream(batches.run.loaded_count, tuple(batches.run.gaps), ended_by)


def run_bridge(pipeline: dlt.Pipeline, options: BridgeOptions, limits: StreamLimits, console: Terminal) -> int:
    """Fill the Kafka topic until told to stop."""
    dids = None if options.takes_all else followed(lake_members(pipeline))
    bridge = kafka_bridge(jetstream_feed(dids=dids, is_legacy=False, limits=limits))
    gaps: list[Gap] = []

    def name_gap(gap: Gap) -> None:
        gaps.append(gap)
        console.say(str(gap))

    _until_told(
        lambda is_over: bridge.run_until(
            is_over, seconds=options.seconds, until_caught_up=options.until_caught_up, on_gap=name_gap
        )
    )
    console.say(f"{bridge.sent:,} events sent")
    return 2 if gaps else 0


def _until_told(work: Callable[[threading.Event], None]) -> int | None:
    """Do something in a thread until SIGTERM or SIGINT asks for its end; a second one does not wait for it.

    Not in the main thread: there, dlt would take the signals for itself and break a load off.

    Returns:
        The number of the signal; None if nobody asked.
    """
    is_over = threading.Event()
    asked: list[int] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            work(is_over)
        except BaseException as error:
            failure.append(error)

    def ask(number: int) -> None:
        asked.append(number)
        is_over.set()

    worker = threading.Thread(target=run, name="loader", daemon=True)
    with on_signal(ask):
        worker.start()
        while worker.is_alive():
            worker.join(0.2)
    if failure:
        raise failure[0]
    return asked[0] if asked else None


def print_summary(batches: MicroBatches, console: Terminal) -> None:
    """Say what a run brought, and where it is."""
    run, seconds = batches.run, time.monotonic() - batches.run.begun_at
    is_clock_wrong = isinstance(batches.clock, ServiceClock) and batches.clock.is_machine_wrong
    facts = {
        "feed": f"{batches.feed.name} {batches.feed.service}",
        "events": f"{run.loaded_count:,} loaded in {run.batch_count:,} batches, {seconds:,.1f} s",
        "unreadable": f"{run.unreadable_count:,}, kept as they came" if run.unreadable_count else None,
        "gaps": f"{len(run.gaps):,}: a pull has to fill them" if run.gaps else None,
        "clock": f"{batches.clock}: this run went by the service's" if is_clock_wrong else None,
        "position": ", ".join(f"{name} {value}" for name, value in run.position.items()) if run.position else None,
        "lake": lake_location(batches.pipeline),
    }
    for name, fact in facts.items():
        if fact:
            console.say(f"{name:>10}  {fact}")


def main(arguments: list[str] | None = None, *, limits: StreamLimits = DEFAULT_LIMITS) -> int:
    """Run the job and return its exit code.

    Args:
        arguments: The command line; the process's own if None.
        limits: How long a stream waits, and how much it holds.
    """
    options = parse_arguments(arguments)
    use_lake_filesystems()
    return run_command(
        lambda console: _run_alone(options, limits, console), explain_error=partial(_explain, options=options)
    )


def _run_alone(options: Options, limits: StreamLimits, console: Terminal) -> int:
    use_project_settings()
    pipeline = _open_pipeline(options)
    with only_one(pipeline.pipeline_name):
        return _run(pipeline, options, limits, console)


def _explain(error: BaseException, options: Options) -> str | None:
    if isinstance(error, KafkaUnusable):
        return str(error)
    sample = None
    if isinstance(options, StreamOptions) and not options.is_sample:
        sample = f"python pipelines/live.py {options.feed} --sample"
    return explain(error, sample=sample)


def _run(pipeline: dlt.Pipeline, options: Options, limits: StreamLimits, console: Terminal) -> int:
    match options:
        case CompactOptions():
            return run_compaction(pipeline, console)
        case BridgeOptions():
            return run_bridge(pipeline, options, limits, console)
        case StreamOptions():
            pipeline = recover(pipeline)
            # The sample needs the time of the newest pull though everybody is followed.
            is_asked = options.is_sample or not options.takes_all
            members = lake_members(pipeline) if is_asked else Members(frozenset(), None)
            return load_stream(pipeline, options, members, limits, console).exit_code
        case WebhookOptions() | KafkaOptions():
            pipeline = recover(pipeline)
            batch = batch_limits(options.batch_seconds, options.batch_events)
            feed: Feed = webhook_feed() if isinstance(options, WebhookOptions) else kafka_feed()
            return run_live(MicroBatches(pipeline, feed, batch), options, console).exit_code


def _open_pipeline(options: Options) -> dlt.Pipeline:
    pipeline = open_pipeline(_pipeline_name(options))
    expect_same_lake(pipeline, _reading_pipeline(options))
    return pipeline


def _reading_pipeline(options: Options | LoadOptions) -> str:
    """Name the pipeline by whose settings dbt finds the lake."""
    return "bluesky_sample" if isinstance(options, StreamOptions | CompactOptions) and options.is_sample else "bluesky"


def _pipeline_name(options: Options) -> str:
    """Name a pipeline for each feed, so that two feeds can run at once; each has its own state."""
    match options:
        case StreamOptions():
            return f"bluesky_sample_{options.feed}" if options.is_sample else f"bluesky_{options.feed}"
        case WebhookOptions():
            return "bluesky_webhook"
        case KafkaOptions():
            return "bluesky_kafka"
        case BridgeOptions():
            return "bluesky_kafka_bridge"
        case CompactOptions():
            return "bluesky_sample_compact" if options.is_sample else "bluesky_compact"


if __name__ == "__main__":
    sys.exit(main())
