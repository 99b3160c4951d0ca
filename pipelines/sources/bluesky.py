"""The dlt source of the nightly pull: who is in the packs, their profiles, and what they posted."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import dlt
import pyarrow as pa
from dlt.common.configuration.exceptions import ConfigurationValueError
from dlt.common.typing import TSecretStrValue
from dlt.extract import DltResource

from pipelines.lake.tables import (
    AUTHOR_FEED,
    FEED_PULLS,
    PROFILES,
    STARTER_PACK_MEMBERS,
    STARTER_PACKS,
)
from pipelines.network.appview import AppView
from pipelines.network.headers import user_agent
from pipelines.network.pacing import Pacer
from pipelines.network.repositories import Repositories
from pipelines.network.session import Session
from pipelines.sources.feed_walk import FeedWalk, MemberState, WalkRules
from pipelines.sources.roster import Roster, RosterReader, Seeds
from pipelines.sources.rows import arrow_table, resource_hints

WORKERS: Final = 8
"""Requests under way at once: enough for ten a second at 300 ms of latency; `extract.workers` is set to the same."""

ITEMS_PER_LOAD: Final = 100_000
"""After this many items a load is closed and the next one begun, so that a long first night keeps its progress."""

MOST_DAYS: Final = 36_525
"""A century: more than any feed holds, and less than what a date can be moved by."""


def utc_now() -> datetime:
    """Tell the time."""
    return datetime.now(UTC)


@dataclass
class PullRun:
    """One run of the source: what its resources share, and what they did so far, for whoever watches.

    A run may take several loads. Attributes that count are written under `lock`.

    Attributes:
        clock: Tells the time of an observation.
        appview: Set when the source is made; its `stats` count the requests.
        requests_per_second: The pace; set when the source is made.
        roster: Whom the run follows; read when the first resource needs it.
        outcomes: Members by outcome.
        notes: One line for each member who `failed`, or whose feed is odd.
        deferred: Members that the open load had no room for.
    """

    clock: Callable[[], datetime] = utc_now
    appview: AppView | None = None
    requests_per_second: float = 0.0
    roster: Roster | None = None
    outcomes: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    item_count: int = 0
    new_item_count: int = 0
    deferred: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _walked: set[str] = field(default_factory=set)
    _room: int = field(default_factory=lambda: ITEMS_PER_LOAD)

    @property
    def request_count(self) -> int:
        """Requests to the AppView so far."""
        return self.appview.stats.requests if self.appview else 0

    def begin_load(self) -> None:
        """Make room for the members that the last load deferred."""
        self.deferred, self._room = 0, ITEMS_PER_LOAD

    def claim(self, did: str) -> bool:
        """Take on a member, unless they were walked already (they may be in two packs) or the load is full."""
        with self.lock:
            if did in self._walked:
                return False
            if self._room <= 0:
                self.deferred += 1
                return False
            self._walked.add(did)
            return True

    def finish(self, walk: FeedWalk, name: str) -> None:
        """Count a walk."""
        with self.lock:
            self.outcomes[walk.outcome] += 1
            self.item_count += walk.item_count
            self.new_item_count += walk.new_item_count
            self._room -= walk.item_count
            if walk.error and walk.outcome in ("ok", "failed"):
                self.notes.append(f"{name}: {walk.outcome}: {walk.error}")


@dlt.source(name="bluesky", section="bluesky")
def bluesky(
    *,
    service: str = dlt.config.value,
    starter_packs: list[str] = dlt.config.value,
    lists: list[str] = dlt.config.value,
    actors: list[str] = dlt.config.value,
    requests_per_second: float = dlt.config.value,
    refresh_days: float = dlt.config.value,
    full_sweep_days: float = dlt.config.value,
    backfill_days: float | None = None,
    full: bool = False,
    handle: str | None = None,
    app_password: TSecretStrValue | None = None,
    login_service: str = dlt.config.value,
    contact: str | None = None,
    plc_directory: str = dlt.config.value,
    short_link_service: str = dlt.config.value,
    run: PullRun | None = None,
) -> list[DltResource]:
    """Starter packs, their members, the members' profiles and everything in the members' feeds.

    Args:
        service: Base URL of the AppView. The public one needs no account.
        starter_packs: Packs to follow: links, short links or at:// URIs.
        lists: Plain lists to follow like packs.
        actors: Single actors to follow: handles, DIDs or profile links.
        requests_per_second: The pace that is never exceeded.
        refresh_days: Items younger than this are stored again with their counts.
        full_sweep_days: How often a feed is read to its end again, for items dated back.
        backfill_days: How far back a member's first walk goes; the whole feed if not set.
        full: Read every feed to its end now.
        handle: Log in as this account; nobody, if not set.
        app_password: The account's app password.
        login_service: Where the account logs in.
        contact: Address that the service can write to about these requests; sent in the User-Agent.
        plc_directory: Where a did:plc is looked up.
        short_link_service: What resolves the short links of packs.
        run: The run this is part of, for who wants to watch it or to set its clock.

    Raises:
        ConfigurationValueError: A setting has a value that cannot be used.
    """
    run = run or PullRun()
    run.requests_per_second = requests_per_second
    session = None
    try:
        if not all(0 <= days <= MOST_DAYS for days in (refresh_days, full_sweep_days, backfill_days or 0)):
            raise ValueError(f"refresh_days, full_sweep_days and backfill_days take a number from 0 to {MOST_DAYS}")
        if bool(handle) != bool(app_password):
            raise ValueError("a log-in takes both handle and app_password")
        agent = user_agent(contact)
        if handle and app_password:
            cache = Path(dlt.current.run_context().data_dir, "bluesky_session.json")
            session = Session(handle, app_password, cache, service=login_service, user_agent=agent)
        pacer = Pacer(requests_per_second)
        appview = run.appview = AppView(service, pacer, session=session, max_connections=WORKERS, user_agent=agent)
    except ValueError as error:
        raise ConfigurationValueError(f"[sources.bluesky]: {error}") from error
    reader = RosterReader(appview, Repositories(appview, plc_directory), short_link_service, run.clock, WORKERS)
    seeds = Seeds(starter_packs, lists, actors)
    rules = WalkRules(
        refresh=timedelta(days=refresh_days),
        backfill=None if backfill_days is None else timedelta(days=backfill_days),
        sweep_every=timedelta(days=full_sweep_days),
        is_full=full,
    )

    def roster() -> Roster:
        if run.roster is None:
            run.roster = reader.read(seeds)
        return run.roster

    @dlt.resource(**resource_hints(STARTER_PACKS))
    def starter_packs_() -> Iterator[pa.Table]:
        yield arrow_table(STARTER_PACKS, roster().starter_packs)

    @dlt.resource(**resource_hints(STARTER_PACK_MEMBERS))
    def starter_pack_members() -> Iterator[pa.Table]:
        for member in roster().members:
            yield arrow_table(STARTER_PACK_MEMBERS, [member])

    @dlt.resource(**resource_hints(PROFILES))
    def profiles() -> Iterator[pa.Table]:
        yield arrow_table(PROFILES, list(roster().profiles.values()))

    @dlt.transformer(data_from=starter_pack_members, parallelized=True, selected=False)
    def member_feeds(member: pa.Table) -> Iterator[pa.Table]:
        did = member["did"][0].as_py()
        if not run.claim(did):
            return
        members: dict[str, MemberState] = dlt.current.resource_state().setdefault("members", {})
        profile = roster().profiles.get(did, {})
        walk = FeedWalk(appview, did, members.get(did), rules, run.clock(), profile.get("posts_count"))
        yield from walk.tables()
        run.finish(walk, roster().name_of(did))
        yield arrow_table(FEED_PULLS, [walk.pull_row()])
        if walk.next_state:
            members[did] = walk.next_state

    @dlt.transformer(data_from=member_feeds, **resource_hints(AUTHOR_FEED))
    def author_feed(table: pa.Table) -> pa.Table | None:
        return table if table.schema.equals(AUTHOR_FEED.schema) else None

    @dlt.transformer(data_from=member_feeds, **resource_hints(FEED_PULLS))
    def feed_pulls(table: pa.Table) -> pa.Table | None:
        return table if table.schema.equals(FEED_PULLS.schema) else None

    return [starter_packs_, starter_pack_members, profiles, author_feed, feed_pulls]
