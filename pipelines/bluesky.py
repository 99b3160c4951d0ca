"""The nightly job: pull starter packs into the lake, build the warehouse from it, and the page from that.

    python pipelines/bluesky.py --sample     the sample network on localhost, no internet needed
    python pipelines/bluesky.py              what `.dlt/config.toml` names
    python pipelines/bluesky.py --check      no pull: ask for what the warehouse doubts, audit who is due, and build
    python pipelines/bluesky.py --audit      the same, and hold everybody's whole repository against the lake
    python pipelines/bluesky.py --posts F    no pull: make rows of the posts whose URIs a file has, and build
    python pipelines/bluesky.py --forget P   take somebody out of the lake, and of all that was made from it

Exit codes: 0 all well; 1 nothing could be loaded, or DuckDB does not find it, or a check cannot build; 2 loaded, but
something failed, or is in doubt, or nobody was found behind a name that is left out (it is named).
"""

from __future__ import annotations

if __name__ == "__main__":
    from pipelines.interruption import end_at_once_from_now

    end_at_once_from_now()  # The imports below take seconds.

import argparse
import math
import os
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import dlt
import pyarrow as pa
from dlt.common.configuration import with_config
from dlt.common.configuration.exceptions import ConfigurationValueError
from dlt.common.exceptions import SignalReceivedException

from pipelines import export, live, report
from pipelines.audience import AskingTheAudience, AudienceSummary, configured_audience_requests
from pipelines.audits import Auditing, AuditSummary, audits_due
from pipelines.checks import Checking, Checks
from pipelines.command import run_command
from pipelines.compacting import compact_where_due
from pipelines.forgetting import forget
from pipelines.hydration import PostFile, hydrate, read_posts
from pipelines.lake.bucket import LakeError, lake_location, use_project_settings
from pipelines.lake.filesystems import use_lake_filesystems
from pipelines.lake.loads import load
from pipelines.lake.readback import LakeReader
from pipelines.lake.working_folder import AnotherRun, only_one, open_pipeline, recover
from pipelines.left_out import find_left_out
from pipelines.network.appview import PAGE_LIMIT, NetworkError
from pipelines.progress import show_progress
from pipelines.retention import configured_retention, keep_no_longer
from pipelines.sample.appview.server import SampleServer
from pipelines.sample.world.world import World
from pipelines.sources.bluesky import MOST_DAYS, bluesky
from pipelines.sources.clients import configured_network
from pipelines.sources.member_states import member_states as find_member_states
from pipelines.sources.pull_run import PullRun
from pipelines.sources.repository_comparison import AUDITED
from pipelines.sources.roster import Roster
from pipelines.sources.turns import MOST_NIGHTS, Known
from pipelines.terminal import complain
from pipelines.warehouse import BuildOutcome, build_questions, build_warehouse, engine

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from dlt.common.pipeline import LoadInfo
    from dlt.extract import DltSource

    from pipelines.network.connect import Network
    from pipelines.sources.feed_walk import MemberState
    from pipelines.terminal import Terminal

SAMPLE_REQUESTS_PER_SECOND: Final = 1_000.0
"""The pace on localhost, where the sample's server needs no sparing."""

FIRST_SAMPLE_NIGHTS: Final = 7
"""Nights that `--sample` pulls into an empty lake, so that the page has a history to show."""


@dataclass
class Night:
    """One run of the pull, and its result.

    Attributes:
        settings: Arguments of the source; dlt's configuration gives the others.
        run: What the source shares with the job: its roster and its counts.
        label: Which night of the sample it is; empty for the real network.
        is_last: Whether it is the command's last night.
        events: What the catch-up before it brought; empty if there was none.
    """

    settings: dict[str, Any]
    run: PullRun = field(default_factory=PullRun)
    label: str = ""
    is_last: bool = True
    events: str = ""
    file_count: int = 0
    byte_count: int = 0
    seconds: float = 0.0

    def load(self, pipeline: dlt.Pipeline, source: DltSource, reader: LakeReader) -> None:
        """Load once, and see that dbt will find it.

        Raises:
            LakeError: It will not.
        """
        info = load(pipeline, source)
        self._count_files(info)
        reader.expect(pipeline, info)

    def _count_files(self, info: LoadInfo) -> None:
        """Add the data files of a load."""
        for package in info.load_packages:
            for job in package.jobs["completed_jobs"]:
                if not job.job_file_info.table_name.startswith("_dlt"):
                    self.file_count += 1
                    self.byte_count += job.file_size

    @property
    def exit_code(self) -> int:
        """The exit code of the job, if this night were its only one."""
        roster = self.run.roster
        if not self.run.outcomes:
            return 1
        # An end that is doubted in one of several nights is read again in the next.
        is_doubtful = self.is_last and bool(self.run.doubtful)
        return 2 if self.run.outcomes["failed"] or is_doubtful or (roster and roster.problems) else 0


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python pipelines/bluesky.py",
        description="Pull the members of Bluesky starter packs, their profiles and feeds, into the lake.",
        epilog="Settings: .dlt/config.toml. Exit codes: 0 all well, 1 nothing loaded, 2 loaded but with failures.",
    )
    parser.add_argument("--sample", action="store_true", help="pull the sample network on localhost, into its own lake")
    parser.add_argument("--day", type=int, metavar="N", help="with --sample: only this day of it (1, 2, ...)")
    parser.add_argument(
        "--pack", action="append", metavar="LINK", help="a starter pack, instead of the configured ones"
    )
    parser.add_argument("--list", action="append", metavar="LINK", help="a plain list, instead of the configured ones")
    parser.add_argument("--actor", action="append", metavar="HANDLE", help="an actor, instead of the configured ones")
    parser.add_argument("--full", action="store_true", help="read every feed to its end again")
    parser.add_argument("--refresh-days", type=float, metavar="DAYS", help="how old a post may be to be counted again")
    parser.add_argument("--backfill-days", type=float, metavar="DAYS", help="how far back a member's first walk goes")
    parser.add_argument("--requests-per-second", type=float, metavar="N", help="the pace that is never exceeded")
    parser.add_argument(
        "--spread", type=int, metavar="N", help="ask for the feeds of one Nth of the members, those with news first"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be asked and how long it takes; no load")
    parser.add_argument(
        "--check", action="store_true", help="no pull: ask for what is in doubt, audit who is due, and build"
    )
    parser.add_argument("--audit", action="store_true", help="as --check, and audit every member now")
    parser.add_argument(
        "--posts", type=Path, metavar="FILE", help="no pull: ask for posts by their URIs, as export.py ids writes them"
    )
    parser.add_argument(
        "--forget", metavar="HANDLE_OR_DID", help="take somebody out of everything, for good; --dry-run counts only"
    )
    parser.add_argument("--no-transform", action="store_true", help="leave the dbt build at the end out, and checks")
    parser.add_argument(
        "--catch-up",
        action=argparse.BooleanOptionalAction,
        help="first load from a Jetstream what members did since the last time; the settings say whether by default",
    )
    parser.add_argument(
        "--engine", help="what builds the models, instead of the configured one: duckdb, sail, or sc://HOST:PORT"
    )
    parser.add_argument("--no-report", action="store_true", help="leave the page at the end out")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    options = parser.parse_args(arguments)
    if options.day is not None and (not options.sample or options.day < 1):
        parser.error("--day takes a number from 1 and goes with --sample")
    options.check |= options.audit
    if options.check and (options.no_transform or options.dry_run or options.catch_up):
        parser.error("--check goes on from the build: not with --no-transform, --dry-run or --catch-up")
    if options.posts is not None and (
        options.check or options.dry_run or options.catch_up or options.forget is not None
    ):
        parser.error("--posts asks for posts alone: not with --check, --audit, --dry-run, --catch-up or --forget")
    if options.forget is not None and (options.check or not options.forget.strip()):
        parser.error("--forget takes a handle or a DID, and does nothing else")
    for name in ("refresh_days", "backfill_days"):
        if (getattr(options, name) or 0) < 0:
            parser.error(f"--{name.replace('_', '-')} takes a number from 0")
    if options.spread is not None and not 1 <= options.spread <= MOST_NIGHTS:
        parser.error(f"--spread takes a number of nights from 1 to {MOST_NIGHTS}")
    if options.requests_per_second is not None and options.requests_per_second <= 0:
        parser.error("--requests-per-second takes a number above 0")
    return options


def settings_from(options: argparse.Namespace) -> dict[str, Any]:
    """Turn the given options into arguments of the source; dlt's configuration gives the others."""
    given = {
        "refresh_days": options.refresh_days,
        "backfill_days": options.backfill_days,
        "requests_per_second": options.requests_per_second,
        "full": options.full or None,
        "spread": options.spread,
    }
    settings = {name: value for name, value in given.items() if value is not None}
    if options.pack or options.list or options.actor:
        settings |= {
            "starter_packs": options.pack or [],
            "lists": options.list or [],
            "actors": options.actor or [],
        }
    return settings


def real_night(options: argparse.Namespace, run: PullRun | None) -> Generator[Night]:
    """Yield the one night that a command pulls from the real network."""
    yield Night(settings_from(options), run or PullRun())


def sample_nights(pipeline: dlt.Pipeline, options: argparse.Namespace) -> Generator[Night]:
    """Serve the sample network on localhost, one night after the other.

    Yields:
        The night that `--day` names, or the first seven into an empty lake, or the one after the newest in it; for a
        check, or posts by their URIs, the newest once more.
    """
    world = World()
    newest = newest_pull(pipeline)
    newest_day = (newest.date() - world.on(1).now.date()).days + 1 if newest else 0
    if options.day:
        days = [options.day]
    elif options.check or options.posts is not None:
        days = [max(1, newest_day)]
    elif newest is None:
        days = list(range(1, FIRST_SAMPLE_NIGHTS + 1))
    else:
        days = [newest_day + 1]
    with SampleServer(world, day=days[0]) as server:
        network = {
            "service": server.url,
            "plc_directory": server.url,
            "short_link_service": server.url,
            "handle": "",  # Empty text: in place of None, dlt would take the log-in of the real network.
            "app_password": "",
            "starter_packs": [pack.uri for pack in world.packs],
            "lists": [],
            "actors": [],
            "requests_per_second": SAMPLE_REQUESTS_PER_SECOND,
        }
        for day in days:
            server.day = day
            evening = world.on(day).now
            if newest and newest.date() == evening.date():
                evening = newest + timedelta(minutes=1)
            run = PullRun(_clock_from(evening))
            yield Night(network | settings_from(options), run, f"day {day} of the sample", day == days[-1])


def _clock_from(start: datetime) -> Callable[[], datetime]:
    begun = time.monotonic()
    return lambda: start + timedelta(seconds=time.monotonic() - begun)


def member_states(pipeline: dlt.Pipeline) -> dict[str, MemberState]:
    """Read the cursors from the pipeline's state, by DID."""
    tables = pipeline.schemas["bluesky"].tables if "bluesky" in pipeline.schemas else {}
    return find_member_states(pipeline.state.get("sources", {}).get("bluesky", {}), tables).by_did()


def newest_pull(pipeline: dlt.Pipeline) -> datetime | None:
    """Tell when the newest walk in the lake began."""
    return max((datetime.fromisoformat(state["pulled_at"]) for state in member_states(pipeline).values()), default=None)


def pull(pipeline: dlt.Pipeline, night: Night, console: Terminal) -> int:
    """Pull one night into the lake, print the summary, and return the exit code."""
    begun = time.monotonic()
    reader = LakeReader(pipeline.pipeline_name)
    source = bluesky(**night.settings, run=night.run)
    with show_progress(night.run, console):
        night.load(pipeline, source, reader)
        while night.run.load_room.is_anybody_waiting:
            night.run.load_room.begin_load()
            night.load(pipeline, source.with_resources("author_feed", "feed_pulls"), reader)
    night.seconds = time.monotonic() - begun
    print_summary(night, lake_location(pipeline), console)
    return night.exit_code


def print_summary(night: Night, lake: str, console: Terminal) -> None:
    """Print what a night brought: one line, and after the command's last night all facts."""
    run, roster = night.run, night.run.roster or Roster()
    stats = run.stats
    packs = Counter(pack["seed_type"] for pack in roster.starter_packs)
    outcomes = ", ".join(f"{count:,} {outcome}" for outcome, count in run.outcomes.most_common())
    facts = {
        "packs": f"{packs['starter_pack']:,} starter packs, {packs['list']:,} lists",
        "members": f"{len(roster.dids):,}" + (f": {outcomes}" if outcomes else ""),
        "items": f"{run.item_count:,} seen, {run.new_item_count:,} new",
        "requests": f"{stats.requests:,} in {night.seconds:,.1f} s, {stats.requests / night.seconds:,.1f} a second of"
        f" {run.requests_per_second:g} allowed; {stats.retries:,} retries",
        **({"events": night.events} if night.events else {}),
        "files": f"{night.file_count:,}, {night.byte_count / 1e6:,.1f} MB",
        "lake": lake,
    }
    console.say(*roster.problems, *run.notes)
    if night.label:
        console.say(f"{night.label}: items {facts['items']}; members {facts['members']}")
    if night.is_last:
        console.say(*(f"{name:>9}  {fact}" for name, fact in facts.items()))


def publish(options: argparse.Namespace, pipeline: dlt.Pipeline, night: Night, console: Terminal) -> int:
    """Find who is left out, build the warehouse, ask for what it doubts and wants, and make the page.

    The options may leave out all but the first.

    Returns:
        The exit code.
    """
    may_publish = is_everybody_found(pipeline, night)
    exit_code = 0 if may_publish else 2
    if options.no_transform:
        keep_no_longer(pipeline, night.run.clock(), console, is_built=False)
    else:
        # A pull has loaded something in any case; a check is nothing without its warehouse.
        failed = 1 if options.check else 2
        if not build("questions", build_questions, options, console):
            return failed
        if keep_no_longer(pipeline, night.run.clock(), console) and not build(
            "questions", build_questions, options, console
        ):
            return failed
        checks = check(pipeline, night, console)
        audits = audit(pipeline, night, console, is_all=options.audit)
        reactions = ask_the_audience(pipeline, night, console)
        exit_code = max(exit_code, checks.exit_code, audits.exit_code, reactions.exit_code)
        if not build("warehouse", build_warehouse, options, console):
            return failed
    if options.no_report or not may_publish:
        return exit_code
    is_failed = report.make_page(console, is_sample=options.sample, is_opened=options.open)
    if not options.no_transform:
        is_failed |= export.end_well(lambda: export.export_nightly(console, is_sample=options.sample))
    return 2 if is_failed else exit_code


def is_everybody_found(pipeline: dlt.Pipeline, night: Night) -> bool:
    """Find the people whom the settings leave out, and tell whether nobody of them is missing.

    As long as somebody is, dbt publishes nobody, and the page stays as it was.
    """
    try:
        unresolved = find_left_out(pipeline, connected(night).appview).unresolved
    except LakeError as error:
        complain(str(error))
        return False
    for name in unresolved:
        complain(f"Nobody is published, and the page stays as it was. {name}")
    return not unresolved


def ask_for_posts(
    options: argparse.Namespace, posts: PostFile, pipeline: dlt.Pipeline, night: Night, console: Terminal
) -> int:
    """Make rows of the posts of a file, build the warehouse, and return the exit code."""
    exit_code = hydrate(posts, pipeline, connected(night), night.run.clock, console)
    if options.no_transform or build("warehouse", build_warehouse, options, console):
        return exit_code
    return 2


def build(name: str, step: Callable[[bool], BuildOutcome], options: argparse.Namespace, console: Terminal) -> bool:
    """Build the warehouse or a part, say how it went, and tell whether it went well."""
    try:
        outcome = step(options.sample)
    except LakeError as error:
        complain(str(error))
        return False
    console.say(f"{name}  {outcome}")
    return outcome.is_success


def check(pipeline: dlt.Pipeline, night: Night, console: Terminal) -> Checks:
    """Ask for what the warehouse doubts, load the answers, and say what came of it."""
    checks = Checking(pipeline, connected(night), night.run.clock).check()
    console.say(*f"   checks  {checks}".split("\n"))
    return checks


def audit(pipeline: dlt.Pipeline, night: Night, console: Terminal, *, is_all: bool) -> AuditSummary:
    """Audit the members whose audit is due, load what comes of it, and say it."""
    network, states = connected(night), member_states(pipeline)
    gap_at = Checking(pipeline, network, night.run.clock).newest_gap()
    spread = night.settings.get("spread") or dlt.config.get("sources.bluesky.spread", int) or 1
    due = audits_due(states, night.run.clock(), configured_audit_days(), gap_at=gap_at, is_all=is_all, spread=spread)
    roster = night.run.roster or Roster()
    left_alone = {member["did"] for member in roster.members} - night.run.followed
    due = [did for did in due if did not in left_alone]
    auditing = Auditing(pipeline, network, night.run.clock, configured_audit_collections(), spread)
    audits = auditing.audit(states, due)
    console.say(*f"   audits  {audits}".split("\n"))
    # Of some members the audit has said that nothing lacks.
    states = member_states(pipeline)
    night.run.doubtful = {did for did in night.run.doubtful if states[did]["doubtful_end_uri"] is not None}
    return audits


def ask_the_audience(pipeline: dlt.Pipeline, night: Night, console: Terminal) -> AudienceSummary:
    """Ask who reacts to members' top posts, and for what members like and follow, load it, and say what came of it."""
    requests = configured_audience_requests()
    if not requests:
        return AudienceSummary()
    summary = AskingTheAudience(pipeline, connected(night), night.run.clock, requests).ask()
    console.say(*f" audience  {summary}".split("\n"))
    return summary


@with_config(sections=("sources", "bluesky"))
def configured_audit_days(audit_days: float = dlt.config.value) -> float:
    """Tell how often a member is audited."""
    if not 0 <= audit_days <= MOST_DAYS:
        raise ConfigurationValueError(f"[sources.bluesky]: audit_days takes a number from 0 to {MOST_DAYS}")
    return audit_days


@with_config(sections=("sources", "bluesky"))
def configured_audit_collections(audit_collections: list[str] = dlt.config.value) -> list[str]:
    """Tell which records audits keep, beside posts and reposts, which they always do."""
    return [name for name in audit_collections if name not in AUDITED]


def connected(night: Night) -> Network:
    """Give the clients of a night's pull; if there was none, make them, and take the service's clock as a pull does."""
    names = ("service", "plc_directory", "short_link_service", "handle", "app_password", "requests_per_second")
    settings = {name: night.settings[name] for name in names if name in night.settings}
    network = night.run.network or configured_network(**settings)
    night.run.ask(network)
    return network


def dry_run(pipeline: dlt.Pipeline, night: Night, console: Terminal) -> int:
    """Read the packs and the profiles, say how long a pull now and a usual one would take, and load nothing.

    Both read the packs and the profiles too. On a usual night each feed that is asked for takes a page, as few people
    write a hundred posts in `refresh_days`.
    """
    source = bluesky(**night.settings, run=night.run)
    with show_progress(night.run, console):
        list(source.profiles)
    turns, roster, states = night.run.turns, night.run.roster or Roster(), member_states(pipeline)
    assert turns is not None
    dids = roster.dids
    counts = {did: (roster.profiles.get(did) or {}).get("posts_count") for did in dids}
    chosen = turns.choose(dids, Known(states, {}, counts, night.run.clock(), len(dids)))
    pages = 0
    for did in chosen:
        is_known = did in states and not night.settings.get("full")
        pages += 1 if is_known else max(1, math.ceil((counts[did] or 0) / PAGE_LIMIT))
    new_count = sum(did not in states for did in dids)
    feeds = sum(1 / turns.nights_between(states.get(did), len(dids)) for did in dids)
    asked, pace = night.run.stats.requests, night.run.requests_per_second
    tonight, usual = (timedelta(seconds=math.ceil((asked + count) / pace)) for count in (pages, feeds))
    console.say(
        *roster.problems,
        f"  members  {len(roster.dids):,}, {new_count:,} of them for the first time",
        f"    asked  {asked:,} requests for packs, lists and profiles",
        f"would ask  {len(chosen):,} members, about {pages:,} feed pages, more where people repost much",
        f"would take about {tonight} at {pace:g} requests a second, and a usual night about {usual}",
        "     then  checks, audits and the audience, which are not counted here",
    )
    return 0 if roster.members else 1


@with_config(sections=("sources", "bluesky"))
def is_catch_up_wanted(options: argparse.Namespace, catch_up: bool = dlt.config.value) -> bool:
    """Tell whether a run begins with what a Jetstream holds: by the command line, else by the settings.

    The sample's does only where it is asked for: its stream is of the day after its newest pull.
    """
    if options.catch_up is not None:
        return bool(options.catch_up)
    return catch_up and not options.sample


def catch_up(options: argparse.Namespace, console: Terminal) -> str:
    """Load what members did since the last run, and say what came of it.

    A Jetstream that cannot be reached keeps the pull from nothing: the next run asks for the same again, from the
    position that is stored. The same where a live job is listening all the time.

    Raises:
        SignalReceivedException: A signal ended it.
    """
    try:
        loaded = live.catch_up(console, is_sample=options.sample)
    except (NetworkError, AnotherRun) as error:
        complain(f"No catch-up: {error}")
        return "no catch-up: see the line above"
    if loaded is None:
        return ""
    if loaded.ended_by:
        raise SignalReceivedException(loaded.ended_by)
    missing = f"; {len(loaded.gaps):,} gaps: only the members' repositories know what went in them"
    return f"{loaded.event_count:,} since the last run" + (missing if loaded.gaps else "")


def run_night(options: argparse.Namespace, pipeline: dlt.Pipeline, night: Night, console: Terminal) -> int:
    """Pull one night, unless only checks are wanted; publish the command's last one; and return the exit code."""
    if not options.check and pull(pipeline, night, console) == 1:
        return 1
    if options.no_transform:
        # They are named; whoever leaves the checks out runs them later, and these give the exit code.
        night.run.doubtful.clear()
    published = publish(options, pipeline, night, console) if night.is_last else 0
    if night.is_last and published == 0:  # After trouble, which has a line of its own, the next night compacts.
        published = compact_where_due(pipeline, console)
    return published if options.check else max(night.exit_code, published)


def main(arguments: list[str] | None = None, *, run: PullRun | None = None) -> int:
    """Run the job and return its exit code.

    Args:
        arguments: The command line; that of the process if not given.
        run: The run of the real network, for callers who hand in clients or another size of a load.
    """
    options = parse_arguments(arguments)
    use_lake_filesystems()
    # Arrow's own allocator keeps what each thread has freed, which takes a third more memory at eight feeds at once.
    pa.set_memory_pool(pa.system_memory_pool())
    return run_command(lambda console: run_job(options, run, console))


def run_job(options: argparse.Namespace, run: PullRun | None, console: Terminal) -> int:
    """Do what the command line asks for, and return the exit code."""
    use_project_settings()
    if options.engine:
        os.environ["WAREHOUSE__ENGINE"] = options.engine
    if options.forget is not None:
        forget(options.forget, console, is_sample=options.sample, is_dry_run=options.dry_run)
        return 0
    configured_retention()  # A value that cannot be used is said before anybody is asked anything.
    configured_audience_requests()
    name = "bluesky_sample" if options.sample else "bluesky"
    engine(name)
    posts = read_posts(options.posts) if options.posts is not None else None
    pulls = not (options.dry_run or options.check or posts)
    events = catch_up(options, console) if pulls and is_catch_up_wanted(options) else ""
    with only_one(name):
        pipeline = recover(open_pipeline(name))
        with closing(sample_nights(pipeline, options) if options.sample else real_night(options, run)) as nights:
            if options.dry_run:
                return dry_run(pipeline, next(nights), console)
            if posts is not None:
                return ask_for_posts(options, posts, pipeline, next(nights), console)
            return max(run_night(options, pipeline, replace(night, events=events), console) for night in nights)


if __name__ == "__main__":
    sys.exit(main())
