"""Who is asked in which night: whoever posted is in the lake within a week, and nothing is claimed of the others."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.audits import followed
from pipelines.lake.tables import AUTHOR_FEED, FEED_PULLS
from pipelines.network.appview import FeedPage, ServiceUnreachable
from pipelines.sources.feed_walk import FeedWalk, MemberState, WalkRules
from pipelines.sources.rows import arrow_table
from pipelines.sources.turns import Known, Turns, weekly_turn_came
from pipelines.sources.walk_batch import WalkBatch
from tests.sources.member_feed import text_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    import pyarrow as pa

    from pipelines.network.appview import AppView

Json = dict[str, Any]
DAY = timedelta(days=1)
FIRST_NIGHT = datetime(2026, 3, 2, 23, tzinfo=UTC)
WALKS = WalkRules(refresh=7 * DAY, backfill=None, sweep_every=60 * DAY, is_full=False)
WEEK = 6.5 * DAY
"""A turn that comes within half a day has come."""


@dataclass(frozen=True)
class Act:
    """Something that a member posted, or reposted, and may have taken back."""

    did: str
    name: str
    at: datetime
    is_repost: bool = False
    gone_at: datetime | None = None

    @property
    def uri(self) -> str:
        return f"at://{self.did}/app.bsky.feed.{'repost' if self.is_repost else 'post'}/{self.name}"

    def stands(self, now: datetime) -> bool:
        return self.at <= now and (self.gone_at is None or self.gone_at > now)

    def view(self) -> Json:
        author = "did:plc:somebodyelse" if self.is_repost else self.did
        post: Json = {
            "uri": f"at://{author}/app.bsky.feed.post/{self.name}",
            "cid": f"bafy{self.name}",
            "author": {"did": author, "handle": "somebody.test"},
            "record": {"$type": "app.bsky.feed.post", "text": "", "createdAt": text_of(self.at)},
            "indexedAt": text_of(self.at),
        }
        if not self.is_repost:
            return {"post": post}
        reason = {"$type": "app.bsky.feed.defs#reasonRepost", "uri": self.uri, "indexedAt": text_of(self.at)}
        return {"post": post, "reason": reason}


@dataclass
class MockAppView:
    """Serves the feeds of some members, at a time, in pages of three; some members' feeds fail."""

    acts: list[Act]
    now: datetime
    failing: set[str]

    def feed_page(self, did: str, cursor: str | None, *, budget: object) -> FeedPage:
        if did in self.failing:
            raise ServiceUnreachable("https://mock.test", "app.bsky.feed.getAuthorFeed", did, "it is out")
        feed = [act for act in self.acts if act.did == did and act.stands(self.now)]
        feed.sort(key=lambda act: (act.at, act.name), reverse=True)
        start = int(cursor or 0)
        views = [msgspec.Raw(msgspec.json.encode(act.view())) for act in feed[start : start + 3]]
        return FeedPage(feed=views, cursor=str(start + 3) if start + 3 < len(feed) else None)

    def posts_count(self, did: str) -> int:
        return sum(act.did == did and not act.is_repost and act.stands(self.now) for act in self.acts)


@dataclass
class Nights:
    """Nights of one lake, without dlt: rows of every walk are kept, states only of nights that came to their end.

    Attributes:
        rows: Rows of `author_feed`.
        claims: Rows of `feed_pulls` of nights that came to their end.
        asked: Whose feed was asked for, and when.
        walked: When a member's last walk was completed, in a night that came to its end.
    """

    dids: list[str]
    acts: list[Act]
    turns: Turns
    states: dict[str, MemberState] = field(default_factory=dict)
    tried: dict[str, str] = field(default_factory=dict)
    rows: list[Json] = field(default_factory=list)
    claims: list[Json] = field(default_factory=list)
    asked: list[tuple[str, datetime]] = field(default_factory=list)
    walked: dict[str, datetime] = field(default_factory=dict)

    def night(
        self, now: datetime, failing: Iterable[str] = (), killed_after: int | None = None, hidden: Container[str] = ()
    ) -> list[str]:
        """Ask as a night does.

        Args:
            now: When.
            failing: Whose feed cannot be read.
            hidden: Whom the service shows no profile of.
            killed_after: How many walks the night is killed after: their rows are in the lake, and nothing is claimed.

        Returns:
            Who was asked.
        """
        appview = MockAppView(self.acts, now, set(failing))
        counts = {did: None if did in hidden else appview.posts_count(did) for did in self.dids}
        chosen = self.turns.choose(self.dids, Known(self.states, self.tried, counts, now, len(self.dids)))
        assert len(set(chosen)) == len(chosen)
        states, tried = dict(self.states), dict(self.tried)
        batch, tables, claims = WalkBatch(states, tried), list[Any](), list[Json]()
        for did in chosen[:killed_after]:
            walk = FeedWalk(cast("AppView", appview), did, states.get(did), self.turns.walks, now, counts[did])
            for page in walk.pages():
                tables += batch.add_page(page)
            batch.end_walk(walk)
            claims.append(walk.pull_row())
        tables += batch.hand_over()
        self._keep(tables)
        if killed_after is None:
            self.states, self.tried = states, tried
            self.claims += claims
            self.asked += [(did, now) for did in chosen]
            self.walked |= {did: now for did in chosen if did not in failing}
        return chosen

    def _keep(self, tables: list[pa.Table]) -> None:
        items = [table for table in tables if table.schema.equals(AUTHOR_FEED.schema)]
        self.rows += [row for table in items for row in table.to_pylist()]

    @property
    def claimed(self) -> list[Json]:
        """Give the claims as they are stored."""
        return arrow_table(FEED_PULLS, self.claims).to_pylist()

    @property
    def stored(self) -> set[str]:
        return {row["item_uri"] for row in self.rows}

    def last_asked_at(self, did: str) -> datetime:
        return max(at for member, at in self.asked if member == did)


DIDS = [f"did:plc:member{number}" for number in range(4)]
HOURS = st.integers(-60 * 24, 30 * 24)
ACTS = st.lists(
    st.tuples(st.sampled_from(DIDS), HOURS, st.booleans(), st.none() | st.integers(1, 20 * 24)), max_size=14
).map(
    lambda acts: [
        Act(
            did,
            f"a{number}",
            FIRST_NIGHT + timedelta(hours=hours),
            is_repost,
            None if lasts is None else FIRST_NIGHT + timedelta(hours=hours + lasts),
        )
        for number, (did, hours, is_repost, lasts) in enumerate(acts)
    ]
)
NIGHTS = st.lists(
    st.tuples(
        st.integers(20, 28) | st.integers(20, 100),
        st.sets(st.sampled_from(DIDS), max_size=1),
        st.none() | st.none() | st.none() | st.integers(0, 3),
    ),
    min_size=1,
    max_size=25,
)


@given(acts=ACTS, nights=NIGHTS, spread=st.integers(1, 9))
@example(acts=[], nights=[(20, {DIDS[0]}, None), (20, set(), None)], spread=2)
def test_who_posted_is_in_the_lake_within_a_week_and_nothing_is_claimed_of_who_was_not_asked(
    acts: list[Act], nights: list[tuple[int, set[str], int | None]], spread: int
) -> None:
    lake = Nights(DIDS, acts, Turns(WALKS, ask_all_up_to=0, spread=spread))
    now, failed, well = FIRST_NIGHT, set[str](), 0
    for hours, failing, killed_after in nights:
        lake.night(now, failing, killed_after)
        if killed_after is None:
            failed |= failing
            well += 1
            week = max(WEEK, (spread - 0.5) * DAY)
            # After a week without nights, those who were asked before it take their part beside whoever never was.
            all_were = well >= (spread if now - FIRST_NIGHT < WEEK else max(spread, len(DIDS)))
            for did in DIDS if all_were else ():
                assert now - lake.last_asked_at(did) < week, "asked within a week, however long somebody was silent"
                is_unread = did not in lake.walked or now - lake.walked[did] >= week
                assert did in failing or not is_unread, "whoever can be read was read within a week"
                # Whose walks fail is asked again when their turn comes, and each night when it was a week ago.
                since = now - week if did not in failed else lake.walked.get(did)
                assert {
                    act.uri for act in acts if act.did == did and since and act.at <= since and act.stands(now)
                } <= (lake.stored)
        now += timedelta(hours=hours)
    keys = [(row["member_did"], row["observed_at"], row["item_uri"]) for row in lake.rows]
    assert len(set(keys)) == len(keys), "nothing twice"
    claimed = [(claim["member_did"], claim["observed_at"]) for claim in lake.claimed]
    assert claimed == lake.asked, "a claim of each who was asked, and of nobody else"
    for claim in lake.claimed:
        if claim["covered_to"] is None:
            continue
        assert claim["covered_to"] == claim["observed_at"]
        begin = datetime.min.replace(tzinfo=UTC) if claim["reached_end"] else claim["covered_from"]
        covered = {
            act.uri
            for act in acts
            if act.did == claim["member_did"]
            and begin < act.at <= claim["covered_to"]
            and act.stands(claim["observed_at"])
        }
        seen = {row["item_uri"] for row in lake.rows if row["observed_at"] <= claim["observed_at"]}
        assert covered <= seen


def long_silent(did: str) -> Act:
    return Act(did, "old", FIRST_NIGHT - 90 * DAY)


def test_who_is_silent_for_months_is_asked_once_a_week_and_again_in_the_night_of_a_post() -> None:
    nobody, writer, reposter, busy = DIDS
    acts = [long_silent(did) for did in (nobody, writer, reposter)]
    acts += [
        Act(writer, "new", FIRST_NIGHT + 9.5 * DAY),
        Act(reposter, "new", FIRST_NIGHT + 9.5 * DAY, is_repost=True),
        *(Act(busy, f"b{day}", FIRST_NIGHT + day * DAY) for day in range(-30, 30)),
    ]
    lake = Nights(DIDS, acts, Turns(WALKS, ask_all_up_to=0))
    for night in range(29):
        lake.night(FIRST_NIGHT + night * DAY)
    asked = {did: [(at - FIRST_NIGHT).days for member, at in lake.asked if member == did] for did in DIDS}

    def turns(did: str) -> list[int]:
        return [day for day in range(1, 29) if weekly_turn_came(did, *(FIRST_NIGHT + n * DAY for n in (day - 1, day)))]

    assert [turns(did)[:2] for did in DIDS[:3]] == [[5, 12], [2, 9], [6, 13]]
    assert asked[nobody] == [0, *turns(nobody)]
    assert asked[busy] == list(range(29))
    assert asked[writer][:4] == [0, 2, 9, 10], "the service counts one post more"
    assert asked[reposter][:3] == [0, 6, 13], "no profile counts reposts"
    # Whoever has news is asked each night for as long as it is observed anew, and then less and less often.
    for did, first in ((writer, 10), (reposter, 13)):
        assert [day for day in asked[did] if day >= first] == [*range(first, 18), 19, 21, 24, 28]


def test_members_of_one_first_night_come_due_night_by_night_and_then_once_a_week() -> None:
    dids = [f"did:plc:{number:024}" for number in range(350)]
    lake = Nights(dids, [long_silent(did) for did in dids], Turns(WALKS, ask_all_up_to=0))
    nights = [set(lake.night(FIRST_NIGHT + night * DAY + night % 3 * timedelta(minutes=1))) for night in range(22)]
    assert nights[0] == set(dids)
    for week in (1, 8, 15):
        parts = nights[week : week + 7]
        assert sum(map(len, parts)) == len(set[str]().union(*parts)) == len(dids), "each once a week"
        assert max(map(len, parts)) < 1.5 * len(dids) / 7


def test_a_feed_that_fails_is_asked_for_each_night_once_it_has_been_unread_for_a_week() -> None:
    dids = [f"did:plc:m{number:02}" for number in range(20)]
    acts = [Act(did, f"b{day}", FIRST_NIGHT + day * DAY) for did in dids for day in range(-9, 60)]
    lake = Nights(dids, acts, Turns(WALKS, ask_all_up_to=0, spread=5))
    first = [did for night in range(5) for did in lake.night(FIRST_NIGHT + night * DAY)]
    fails = first[0]
    asked = [night for night in range(5, 20) if fails in lake.night(FIRST_NIGHT + night * DAY, failing=[fails])]
    assert asked == [5, *range(7, 20)]
    assert fails in lake.night(FIRST_NIGHT + 20 * DAY)
    assert fails not in lake.night(FIRST_NIGHT + 21 * DAY)


@pytest.mark.parametrize(
    ("member_count", "is_asked"), [(4, True), (5, False)], ids=["as many as all are asked of", "one more"]
)
def test_nobody_rests_where_members_are_few(member_count: int, is_asked: bool) -> None:
    acts = [long_silent(did) for did in DIDS]
    lake = Nights(DIDS, acts, Turns(WALKS, ask_all_up_to=member_count - (0 if is_asked else 1) * 2))
    lake.night(FIRST_NIGHT)
    assert (len(lake.night(FIRST_NIGHT + DAY)) == len(DIDS)) == is_asked


@pytest.mark.parametrize("spread", [2, 5])
def test_who_has_news_comes_first_where_the_work_is_spread(spread: int) -> None:
    dids = [f"did:plc:m{number:02}" for number in range(20)]
    acts = [Act(did, "young", FIRST_NIGHT - DAY) for did in dids]
    acts += [Act(dids[13], "new", FIRST_NIGHT + (spread - 0.5) * DAY)]
    lake = Nights(dids, acts, Turns(WALKS, ask_all_up_to=0, spread=spread))
    parts = [lake.night(FIRST_NIGHT + night * DAY) for night in range(spread)]
    assert [len(part) for part in parts] == [20 // spread] * spread
    assert sorted(did for part in parts for did in part) == dids, "each once"
    assert lake.night(FIRST_NIGHT + spread * DAY)[:2] == [dids[13], dids[0]], "then who waits longest"


@pytest.mark.parametrize("spread", [1, 4])
def test_whom_the_service_shows_no_more_is_asked_the_same_night(spread: int) -> None:
    # Where the work is spread, all others have news, and have waited longer.
    acts = [Act(did, "act", FIRST_NIGHT + (3.5 if spread > 1 else -40) * DAY) for did in DIDS]
    lake = Nights(DIDS, acts, Turns(WALKS, ask_all_up_to=0, spread=spread))
    for night in range(4):
        lake.night(FIRST_NIGHT + night * DAY)
    now, last = FIRST_NIGHT + 4 * DAY, lake.asked[-1][0]
    assert last in lake.night(now, killed_after=0, hidden=[last])
    assert last not in lake.night(now)


def test_who_joins_is_asked_though_the_turn_of_all_others_has_come() -> None:
    acts = [Act(did, "young", FIRST_NIGHT - DAY) for did in DIDS]
    lake = Nights(DIDS[:3], acts, Turns(WALKS, ask_all_up_to=0, spread=3))
    for night in range(3):
        lake.night(FIRST_NIGHT + night * DAY)
    lake.dids = DIDS
    asked = {did for night in range(1, 4) for did in lake.night(FIRST_NIGHT + night * 10 * DAY)}
    assert asked == set(DIDS)


def test_a_wrong_clock_of_one_night_lets_nobody_rest() -> None:
    acts = [long_silent(did) for did in DIDS]
    lake = Nights(DIDS, acts, Turns(WALKS, ask_all_up_to=0))
    lake.night(FIRST_NIGHT + 9999 * DAY)
    assert sorted(lake.night(FIRST_NIGHT)) == DIDS


def test_who_rests_is_followed_and_who_is_gone_is_not() -> None:
    acts = [long_silent(DIDS[0]), *(Act(DIDS[1], f"b{day}", FIRST_NIGHT + day * DAY) for day in range(-9, 15))]
    lake = Nights(DIDS[:2], acts, Turns(WALKS, ask_all_up_to=0))
    for night in range(7):
        lake.night(FIRST_NIGHT + night * DAY)
        assert set(followed(lake.states, 1)) == set(DIDS[:2])
    lake.dids = DIDS[1:2]
    for night in range(7, 17):
        lake.night(FIRST_NIGHT + night * DAY)
    assert set(followed(lake.states, 1)) == set(DIDS[1:2])


@pytest.mark.parametrize("spread", [1, 5, 14])
def test_who_waits_for_the_night_of_their_part_is_followed(spread: int) -> None:
    dids = [f"did:plc:{number:024}" for number in range(20)]
    acts = [Act(did, f"b{day}", FIRST_NIGHT + day * DAY) for did in dids for day in range(-9, 60)]
    lake = Nights(dids, acts, Turns(WALKS, ask_all_up_to=0, spread=spread))
    for night in range(3 * spread):
        lake.night(FIRST_NIGHT + night * DAY)
        assert followed(lake.states, spread).keys() == lake.states.keys()
    assert lake.states.keys() == set(dids)


def test_a_full_pull_asks_everybody_also_where_it_is_spread() -> None:
    lake = Nights(DIDS, [long_silent(did) for did in DIDS], Turns(replace(WALKS, is_full=True), spread=3))
    for night in range(2):
        assert sorted(lake.night(FIRST_NIGHT + night * DAY)) == sorted(DIDS)
