"""The dlt source of the nightly pull: who is in the packs, their profiles, and what they posted."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import dlt
import pyarrow as pa
from dlt.common.configuration.exceptions import ConfigurationValueError
from dlt.common.runtime import signals
from dlt.common.typing import TSecretStrValue
from dlt.extract import DltResource

from pipelines.lake.tables import (
    AUTHOR_FEED,
    FEED_PULLS,
    PROFILES,
    STARTER_PACK_MEMBERS,
    STARTER_PACKS,
    RawTable,
)
from pipelines.network.connect import Network, connect
from pipelines.network.service_clock import ServiceClock
from pipelines.sources.beside import beside
from pipelines.sources.clients import WORKERS, login_from
from pipelines.sources.feed_walk import FeedWalk, WalkRules
from pipelines.sources.member_states import MemberStates, member_states
from pipelines.sources.pull_run import PullRun
from pipelines.sources.roster import Roster, RosterReader, Seeds
from pipelines.sources.rows import Row, arrow_table, resource_hints
from pipelines.sources.turns import ASK_ALL_UP_TO, Known, Turns
from pipelines.sources.walk_batch import WalkBatch

_TABLES_OF_A_WORKER: Final = 4
"""Tables of members that there are for each thread: feeds are not of one length."""

_MOST_MEMBERS_OF_A_TABLE: Final = 100
"""A thread keeps the rows of these until it is done with all, or has enough."""

MOST_DAYS: Final = 36_525
"""A century: more than any feed holds, and less than what a date can be moved by."""


@dataclass(frozen=True)
class Pull:
    """What the resources of one source share.

    Attributes:
        run: The run that the source is part of.
        network: The clients that the resources ask.
        seeds: Whom to follow.
        turns: Whose feeds a night asks for, and how far the walks go.
        follow_blocked: Whether members in a block relation with the list's creator are followed.
    """

    run: PullRun
    network: Network
    seeds: Seeds
    turns: Turns
    follow_blocked: bool

    def roster(self) -> Roster:
        """Read whom the run follows. The first resource that asks makes the requests; the others get the same.

        Members whom the service hides are searched for beside the feeds: the servers to ask for them are strangers'.
        """
        if self.run.roster is not None:
            return self.run.roster
        memories = dlt.current.resource_state(STARTER_PACK_MEMBERS.name).setdefault("lists", {})
        reader = RosterReader(self.network, self.run.clock, WORKERS, memories, self.follow_blocked)
        listed = self.run.follow(reader.read(self.seeds))
        self.run.whole_roster = beside(lambda: self.run.follow(reader.with_hidden(listed)))
        if isinstance(self.run.clock, ServiceClock) and self.run.clock.is_machine_wrong:
            self.run.notes.append(f"{self.run.clock}: this run goes by the service's")
        return listed

    def whole_roster(self) -> Generator[None, None, Roster]:
        """Wait for the roster with all whom the service hides.

        Yields:
            None, at which dlt goes on with another resource.
        """
        roster = self.roster()
        if self.run.whole_roster is None:
            return roster
        while not self.run.whole_roster.done():
            yield None
        return self.run.whole_roster.result()

    def in_turn(self, members: Sequence[Row], roster: Roster, tried: dict[str, str]) -> list[Row]:
        """Choose whose feeds are asked for, and put members in the order in which they are, the others last.

        Args:
            members: Some members of the roster; those before them have been chosen from.
            roster: The roster.
            tried: When the feeds were last asked for of which the last walk was not completed.
        """
        followed = set(roster.dids)
        dids = [did for did in dict.fromkeys(member["did"] for member in members) if did in followed]
        counts = {did: (roster.profiles.get(did) or {}).get("posts_count") for did in dids}
        new = [did for did in dids if did not in self.run.asked]
        chosen = self.turns.choose(new, Known(self.run.states, tried, counts, self.run.clock(), len(followed)))
        self.run.asked |= frozenset(chosen)
        places = {did: place for place, did in enumerate(chosen)}
        return sorted(members, key=lambda member: places.get(member["did"], len(places)))


@dlt.resource(**resource_hints(STARTER_PACKS))
def starter_packs(pull: Pull) -> Iterator[pa.Table | None]:
    """Yield the packs and lists, as this run sees them."""
    roster = yield from pull.whole_roster()
    if roster.starter_packs:  # dbt reads a file without rows again each night: nothing tells that it was read.
        yield arrow_table(STARTER_PACKS, roster.starter_packs)


@dlt.resource(**resource_hints(STARTER_PACK_MEMBERS))
def starter_pack_members(pull: Pull) -> Iterator[pa.Table | None]:
    """Yield the members of the packs, some at a time, so that `member_feeds` walks several feeds at once.

    Who is listed comes at once, who is hidden when it is known.
    """
    kept = dlt.current.resource_state(AUTHOR_FEED.name)
    if not pull.run.load_room.is_first_load:
        states = MemberStates(kept["members"])
        if states.is_long:
            states.put_together()
        yield from pull.run.load_room.waiting()
        return
    # Here, where one thread runs, the states are put in their place, if they are not there.
    pull.run.states = member_states(dlt.current.source_state(), dlt.current.source_schema().tables).put_together()
    tried = kept.setdefault("tried", {})
    known = pull.roster()
    yield from _some_at_a_time(pull.in_turn(known.members, known, tried))
    whole = yield from pull.whole_roster()
    yield from _some_at_a_time(pull.in_turn(whole.members[len(known.members) :], whole, tried))


def _some_at_a_time(members: Sequence[Row]) -> Iterator[pa.Table]:
    """Put members into tables, so small that each thread gets some of them."""
    size = min(max(1, len(members) // (_TABLES_OF_A_WORKER * WORKERS)), _MOST_MEMBERS_OF_A_TABLE)
    for start in range(0, len(members), size):
        yield arrow_table(STARTER_PACK_MEMBERS, members[start : start + size])


@dlt.resource(**resource_hints(PROFILES))
def profiles(pull: Pull) -> Iterator[pa.Table | None]:
    """Yield the members' profiles."""
    roster = yield from pull.whole_roster()
    if roster.profiles:
        yield arrow_table(PROFILES, list(roster.profiles.values()))


@dlt.transformer(parallelized=True, selected=False)
def member_feeds(some: pa.Table, pull: Pull) -> Iterator[pa.Table]:
    """Walk the feeds of some members: yield tables of `author_feed` and `feed_pulls`.

    A member's state moves after both, so that dlt stores a cursor only with the rows that it stands for.
    """
    kept = dlt.current.resource_state(AUTHOR_FEED.name)
    batch, room = WalkBatch(MemberStates(kept["members"]), kept["tried"]), pull.run.load_room
    some = some.filter(pa.array([did in pull.run.asked for did in some["did"].to_pylist()], pa.bool_()))
    for place, did in enumerate(map(str, some["did"].to_pylist())):
        if not room.admit(did):
            if room.is_full:
                room.defer(some.slice(place))
                break
            continue
        posts_count = pull.roster().profiles.get(did, {}).get("posts_count")
        state = pull.run.states.get(did)
        walk = FeedWalk(pull.network.appview, did, state, pull.turns.walks, pull.run.clock(), posts_count)
        for page in walk.pages():
            signals.raise_if_signalled()  # dlt looks for a signal when it gets a table, and that may take long.
            yield from batch.add_page(page)
        pull.run.count(walk)
        batch.end_walk(walk)
    yield from batch.hand_over()


@dlt.transformer(**resource_hints(AUTHOR_FEED))
def author_feed(table: pa.Table) -> pa.Table | None:
    """Pick the feed items out of what `member_feeds` yields."""
    return table if table.schema.equals(AUTHOR_FEED.schema) else None


@dlt.transformer(**resource_hints(FEED_PULLS))
def feed_pulls(table: pa.Table) -> pa.Table | None:
    """Pick the outcomes of the walks out of what `member_feeds` yields."""
    return table if table.schema.equals(FEED_PULLS.schema) else None


def rows_of(picked: RawTable) -> DltResource:
    """Make a transformer that picks a table's rows out of what a resource yields: Arrow tables, each of one table."""

    @dlt.transformer(**resource_hints(picked))
    def pick(table: pa.Table) -> pa.Table | None:
        return table if table.schema.equals(picked.schema) else None

    return pick


def _resources(pull: Pull) -> list[DltResource]:
    members = starter_pack_members(pull)
    feeds = members | member_feeds(pull)
    return [starter_packs(pull), members, profiles(pull), feeds | author_feed(), feeds | feed_pulls()]


def _walk_rules(refresh_days: float, full_sweep_days: float, backfill_days: float | None, full: bool) -> WalkRules:
    if not all(0 <= days <= MOST_DAYS for days in (refresh_days, full_sweep_days, backfill_days or 0)):
        raise ValueError(f"refresh_days, full_sweep_days and backfill_days take a number from 0 to {MOST_DAYS}")
    return WalkRules(
        refresh=timedelta(days=refresh_days),
        backfill=None if backfill_days is None else timedelta(days=backfill_days),
        sweep_every=timedelta(days=full_sweep_days),
        is_full=full,
    )


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
    follow_blocked: bool = False,
    ask_all_up_to: int = ASK_ALL_UP_TO,
    spread: int = 1,
    backfill_days: float | None = None,
    full: bool = False,
    handle: str | None = None,
    app_password: TSecretStrValue | None = None,
    login_service: str = dlt.config.value,
    contact: str | None = None,
    plc_directory: str = dlt.config.value,
    short_link_service: str = dlt.config.value,
    inside_hosts: list[str] | None = None,
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
        ask_all_up_to: Up to so many members, each feed is asked for each night. Of more, those who have been silent for
            long are asked for less often, by the rules of `Turns`.
        spread: Over how many nights the members are spread; 1 for all of them each night.
        follow_blocked: Whether members who block a list's creator, or are blocked, are followed. They are not published
            on account of that list in any case.
        backfill_days: How far back a member's first walk goes; the whole feed if not set.
        full: Read every feed to its end now.
        handle: Log in as this account; without it the requests carry no account.
        app_password: The account's app password.
        login_service: Where the account logs in.
        contact: Address that the service can write to about these requests; sent in the User-Agent.
        plc_directory: Where a did:plc is looked up.
        short_link_service: What resolves the short links of packs.
        inside_hosts: Members' servers that may be asked at addresses inside a private network: `host` or `host:port`.
        run: The run this is part of, for callers who watch it, set its clock or hand in clients of their own. Such
            clients are asked in place of those that the settings describe.

    Raises:
        ConfigurationValueError: A setting has a value that cannot be used.
    """
    run = run or PullRun()
    try:
        turns = Turns(_walk_rules(refresh_days, full_sweep_days, backfill_days, full), ask_all_up_to, spread)
        network = run.network or connect(
            service,
            requests_per_second,
            login=login_from(handle, app_password, login_service),
            contact=contact,
            plc_directory=plc_directory,
            short_links=short_link_service,
            inside_hosts=inside_hosts or (),
            max_connections=WORKERS,
        )
    except ValueError as error:
        raise ConfigurationValueError(f"[sources.bluesky]: {error}") from error
    run.ask(network)
    run.turns = turns
    return _resources(Pull(run, network, Seeds(starter_packs, lists, actors), turns, follow_blocked))
