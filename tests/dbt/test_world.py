"""Days 1 to 10 of the sample, pulled one by one: every mart says what plain Python computes from the world itself."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from pipelines.sample.world.truth import ACTIVE, Defect, FeedItem, Post
from tests.dbt.warehouses import LAST_DAY, Row, Warehouse, differences, differences_of

if TYPE_CHECKING:
    from pipelines.sample.world.world import World

# Ten pulls, and the runs after them, take a minute. What must never be wrong has a quick test in test_traps.py.
pytestmark = pytest.mark.slow

PAGE = 100
REFRESH = timedelta(days=7)


@dataclass
class Sighting:
    """What one walk through one feed saw, by the rules of the pull, and what it may claim.

    Attributes:
        items: The items that were read.
        covered_from: Everything after this was read; None: everything.
    """

    items: list[FeedItem]
    covered_from: datetime | None


@dataclass
class Expected:
    """What must be known after ten days, from the world and from the rules of the pull alone."""

    world: World
    sightings: dict[tuple[str, int], Sighting] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for did in self.members:
            cursor: datetime | None = None
            for day in range(1, LAST_DAY + 1):
                if did in self.members_on(day) and self.world.actors[did].is_available(self.world.on(day).now):
                    sighting = self._walk(did, day, cursor)
                    self.sightings[did, day] = sighting
                    cursor = max([*map(indexed_at, sighting.items), *([cursor] if cursor else [])], default=None)

    def _walk(self, did: str, day: int, cursor: datetime | None) -> Sighting:
        feed = self.world.on(day).feed(did)
        if cursor is None:
            return Sighting(feed, None)
        floor, stored_from = cursor - REFRESH, min(cursor, self.world.on(day).now - REFRESH)
        ends = (*range(PAGE, len(feed), PAGE), len(feed))
        end = next(end for end in ends if end == len(feed) or oldest(feed[:end]) < floor)
        stored = [item for item in feed[:end] if item.item_at > stored_from or indexed_at(item) > cursor]
        if stored == feed:
            return Sighting(feed, None)
        return Sighting(stored, max(oldest(feed[:end]), stored_from))

    def members_on(self, day: int) -> set[str]:
        now = self.world.on(day)
        return set(now.followed(*(pack.list for pack in self.world.packs)))

    @cached_property
    def members(self) -> set[str]:
        return set().union(*(self.members_on(day) for day in range(1, LAST_DAY + 1)))

    @cached_property
    def last_seen(self) -> dict[str, tuple[int, Post]]:
        """Members' posts that their own feeds showed: the last day and version anywhere."""
        own = {item.uri for sighting in self.sightings.values() for item in sighting.items if not item.repost}
        seen: dict[str, tuple[int, Post]] = {}
        for (_, day), sighting in sorted(self.sightings.items(), key=lambda entry: entry[0][1]):
            for item in sighting.items:
                if item.post.uri in own:
                    seen[item.post.uri] = (day, item.post)
        return seen

    def missed(self, *, reposts: bool) -> dict[str, int]:
        """Items that a later walk over their place did not show, with the day of the first such walk."""
        last: dict[tuple[str, str], tuple[int, FeedItem]] = {}
        for (did, day), sighting in sorted(self.sightings.items(), key=lambda entry: entry[0][1]):
            for item in sighting.items:
                last[did, item.uri] = (day, item)
        gone = {}
        for (did, uri), (day, item) in last.items():
            if bool(item.repost) != reposts:
                continue
            for later in range(day + 1, LAST_DAY + 1):
                walk = self.sightings.get((did, later))
                if walk and covers(walk, item):
                    gone[uri] = later
                    break
        return gone


def indexed_at(item: FeedItem) -> datetime:
    return item.repost.indexed_at if item.repost else item.post.indexed_at


def oldest(items: list[FeedItem]) -> datetime:
    """How far back a feed was read: the last place in it that can be read."""
    return next(at for item in reversed(items) if (at := item_at(item)))


def item_at(item: FeedItem) -> datetime | None:
    """The item's place in the feed, as far as its dates can be read."""
    return item.item_at if item.repost or item.post.created_at else None


def covers(sighting: Sighting, item: FeedItem) -> bool:
    at = item_at(item)
    return sighting.covered_from is None or (at is not None and at > sighting.covered_from)


@pytest.fixture(scope="module")
def expected(world: World) -> Expected:
    world.on(LAST_DAY)
    return Expected(world)


def check(warehouse: Warehouse, sql: str, truth: set[Row]) -> None:
    """Hold a query to the truth, row for row."""
    rows = warehouse.rows(sql)
    assert differences(rows, list(truth)) == ([], [])
    assert len(rows) == len(truth), "a row is there twice"


def did_of(uri: str) -> str:
    return uri.split("/")[2]


def test_posts(ten_days: Warehouse, expected: Expected) -> None:
    def kind(post: Post) -> str:
        if post.reply and post.defect is not Defect.REPLY_TEXT:
            return "reply"
        quoted = post.embed and post.embed.quoted
        return "quote" if quoted and "/app.bsky.feed.post/" in quoted.uri else "original"

    truth = {
        (post.uri, post.cid, post.author, post.text, kind(post), post.item_at)
        for _, post in expected.last_seen.values()
    }
    check(ten_days, "select post_uri, post_cid, author_did, text, kind, posted_at from fct_posts", truth)


def test_reposts(ten_days: Warehouse, expected: Expected) -> None:
    truth = {
        (item.uri, item.member, item.post.uri, item.item_at, item.member == item.post.author)
        for sighting in expected.sightings.values()
        for item in sighting.items
        if item.repost
    }
    check(
        ten_days,
        "select repost_uri, reposter_did, post_uri, reposted_at, kind = 'repost_of_self' from fct_reposts",
        truth,
    )


def test_engagement_series(ten_days: Warehouse, expected: Expected) -> None:
    truth = set()
    for (_, day), sighting in expected.sightings.items():
        for post in {item.post.uri: item.post for item in sighting.items}.values():
            if post.uri in expected.last_seen:
                counts = expected.world.on(day).counts(post)
                truth.add((post.uri, day, counts.like, counts.repost, counts.reply, counts.quote, counts.bookmark))
    rows = ten_days.rows("""
        select distinct post_uri, date_diff('day', date '2026-03-01', observed_date)::int,
            like_count, repost_count, reply_count, quote_count, bookmark_count
        from fct_post_engagement
    """)
    assert differences(rows, list(truth)) == ([], [])


def test_engagement_changes_add_up(ten_days: Warehouse) -> None:
    wrong = ten_days.rows("""
        select post_uri
        from fct_post_engagement
        group by post_uri
        having max_by(like_count, observed_at) != min_by(like_count, observed_at) + coalesce(sum(like_change), 0)
    """)
    assert wrong == []


def test_what_a_walk_misses_is_asked_for(ten_days: Warehouse, expected: Expected) -> None:
    asked = ten_days.rows("select uri from int_open_questions where collection = 'app.bsky.feed.post'")
    assert {uri for (uri,) in asked} == set(expected.missed(reposts=False))
    asked = ten_days.rows("select uri from int_open_questions where collection = 'app.bsky.feed.repost'")
    assert {uri for (uri,) in asked} <= set(expected.missed(reposts=True)), "without its place, few walks miss one"


def test_nobody_was_asked_so_accounts_alone_are_gone(ten_days: Warehouse, expected: Expected) -> None:
    truth: set[Row] = set()
    for did in expected.members:
        if did in expected.members_on(LAST_DAY):
            states = [expected.world.actors[did].status(expected.world.on(day).now) for day in range(1, LAST_DAY + 1)]
            if states[-1] != ACTIVE:
                since = max((day for day, state in enumerate(states, 1) if state == ACTIVE), default=0) + 1
                first_pulled = next(day for day in range(1, LAST_DAY + 1) if did in expected.members_on(day))
                truth.add(("account", f"at://{did}", max(since, first_pulled)))
    check(
        ten_days,
        """
        select subject_type, subject_uri, date_diff('day', date '2026-03-01', missed_at::date)::int
        from int_deletions
        """,
        truth,
    )


def test_questions_have_a_cause(ten_days: Warehouse, expected: Expected) -> None:
    """What is missed was deleted in the world, between when it was last seen and when a walk missed it."""
    deleted_at = {post.uri: post.deleted_at for post in expected.world.posts}
    rows = ten_days.rows("""
        select uri, last_seen_at, last_missed_at from int_missed_records where collection = 'app.bsky.feed.post'
    """)
    assert rows
    for uri, last_seen_at, missed_at in rows:
        at = deleted_at[uri]
        assert at is not None
        assert last_seen_at - timedelta(minutes=1) < at <= missed_at


def test_membership_spans(ten_days: Warehouse, expected: Expected) -> None:
    truth: set[Row] = set()
    for pack in expected.world.packs:
        present: dict[str, set[int]] = defaultdict(set)
        for day in range(1, LAST_DAY + 1):
            now = expected.world.on(day)
            for item in now.memberships(pack.list):
                if not now.has_opted_out(item.subject, pack.list):
                    present[item.subject].add(day)
        for did, days in present.items():
            for day in sorted(days):
                if day - 1 not in days:
                    end = next((later for later in range(day, LAST_DAY + 1) if later not in days), None)
                    truth.add((pack.uri, did, day, end, end is None))
    check(
        ten_days,
        """
        select pack_uri, did,
            date_diff('day', date '2026-03-01', member_from::date)::int,
            date_diff('day', date '2026-03-01', member_to::date)::int,
            is_current
        from bridge_pack_members
        """,
        truth,
    )


def test_handle_spans(ten_days: Warehouse, expected: Expected) -> None:
    truth: set[Row] = set()
    for did in expected.members:
        actor = expected.world.actors[did]
        previous = None
        for day in range(1, LAST_DAY + 1):
            now = expected.world.on(day).now
            handle = actor.handle(now)
            # The service cannot check the handle of one member.
            if did in expected.members_on(day) and actor.is_available(now) and handle != "handle.invalid":
                if handle != previous:
                    truth.add((did, handle, day))
                previous = handle
    check(
        ten_days,
        "select did, handle, date_diff('day', date '2026-03-01', handle_from::date)::int from int_handle_spans",
        truth,
    )


def test_links(ten_days: Warehouse, expected: Expected) -> None:
    truth: set[Row] = set()
    for _, post in expected.last_seen.values():
        in_text = {facet.value for facet in post.facets or () if facet.feature == "link"}
        card = {post.embed.card.uri} if post.embed and post.embed.card else set()
        for uri in in_text | card:
            kind = "card_and_text" if uri in in_text & card else "card" if uri in card else "text"
            host = urlsplit(str(uri)).hostname or ""
            truth.add((post.uri, uri, host.removeprefix("www."), kind))
    check(ten_days, "select post_uri, link_uri, domain, kind from fct_links", truth)


def test_hashtags(ten_days: Warehouse, expected: Expected) -> None:
    truth: set[Row] = set()
    for _, post in expected.last_seen.values():
        tags = [facet.value or "" for facet in post.facets or () if facet.feature == "tag"]
        truth |= {(post.uri, tag.strip().lower()) for tag in [*tags, *(post.tags or ())]}
    check(ten_days, "select post_uri, hashtag from fct_hashtags", truth)


def test_mentions(ten_days: Warehouse, expected: Expected) -> None:
    truth = {
        (post.uri, facet.value)
        for _, post in expected.last_seen.values()
        for facet in post.facets or ()
        if facet.feature == "mention"
    }
    check(ten_days, "select post_uri, mentioned_did from fct_mentions", truth)


def test_media(ten_days: Warehouse, expected: Expected) -> None:
    truth = {
        (post.uri, number, media.kind, bool(media.alt and media.alt.strip()))
        for _, post in expected.last_seen.values()
        if post.embed
        for number, media in enumerate(post.embed.media, 1)
    }
    check(ten_days, "select post_uri, media_number, kind, has_alt_text from fct_media", truth)


def test_interactions(ten_days: Warehouse, expected: Expected) -> None:
    truth: set[Row] = set()
    for _, post in expected.last_seen.values():
        if post.reply and post.defect is not Defect.REPLY_TEXT:
            truth.add((post.uri, "reply", post.author, did_of(post.reply.parent.uri)))
        quoted = post.embed and post.embed.quoted
        if quoted and "/app.bsky.feed.post/" in quoted.uri:
            truth.add((post.uri, "quote", post.author, did_of(quoted.uri)))
        for facet in post.facets or ():
            if facet.feature == "mention":
                truth.add((post.uri, "mention", post.author, facet.value))
    for sighting in expected.sightings.values():
        truth |= {(item.uri, "repost", item.member, item.post.author) for item in sighting.items if item.repost}
    check(ten_days, "select interaction_uri, kind, actor_did, subject_did from fct_interactions", truth)


def test_author_days(ten_days: Warehouse, expected: Expected) -> None:
    gone = set(expected.missed(reposts=False))
    truth: dict[Row, int] = defaultdict(int)
    for uri, (_, post) in expected.last_seen.items():
        if uri not in gone:
            truth[post.author, post.item_at.date()] += 1
    check(
        ten_days,
        "select did, date_day, post_count::int from fct_author_days where post_count > 0",
        {(*key, count) for key, count in truth.items()},
    )
    followers = {
        (did, day, expected.world.on(day).followers_count(expected.world.actors[did]))
        for did, day in expected.sightings
    }
    check(
        ten_days,
        """
        select did, date_diff('day', date '2026-03-01', date_day)::int, followers_count
        from fct_author_days
        where followers_count is not null
        """,
        followers,
    )


def published(expected: Expected) -> dict[str, Any]:
    """Who may be published on the last day, by the world alone."""
    now = expected.world.on(LAST_DAY).now
    people = {}
    for did in expected.members_on(LAST_DAY):
        actor = expected.world.actors[did]
        profile = actor.profile(now)
        if actor.is_available(now) and not (profile and "!no-unauthenticated" in profile.labels):
            people[did] = actor
    return people


def test_reports_count_what_is_there(ten_days: Warehouse, expected: Expected) -> None:
    gone = set(expected.missed(reposts=False))
    people = published(expected)
    now = ten_days.rows("select newest_observed_at from int_clock")[0][0]
    posts = [post for uri, (_, post) in expected.last_seen.items() if uri not in gone and post.author in people]

    def count(days_from: int, days_to: int) -> int:
        return sum(now - timedelta(days=days_from) < post.item_at <= now - timedelta(days=days_to) for post in posts)

    truth = (len(people), count(1, 0), count(2, 1), count(7, 0), count(14, 7))
    columns = ", ".join(f"{period}.post_count, {period}.previous_post_count" for period in ("day", "week"))
    query = f"""
        select packs.published_member_count, {columns}
        from rpt_packs as packs
        inner join rpt_activity_by_period as day on packs.pack_uri = day.pack_uri and day.period = 'day'
        inner join rpt_activity_by_period as week on packs.pack_uri = week.pack_uri and week.period = 'week'
        where packs.pack_uri = 'all'
    """
    assert ten_days.rows(query) == [truth]
    assert {did for (did,) in ten_days.rows("select did from rpt_members")} == set(people)


def test_nothing_is_published_that_may_not_be(ten_days: Warehouse, expected: Expected) -> None:
    """Neither people who are not to be shown, nor what was deleted, in any column of any report."""
    world, people = expected.world, published(expected)
    at = world.on(LAST_DAY).now
    asked = {
        did
        for did, actor in world.actors.items()
        if (profile := actor.profile(at)) and "!no-unauthenticated" in profile.labels
    }
    withheld = ((expected.members - set(people)) | asked) & set(world.actors)
    assert len(withheld) > 5
    secrets = {*withheld, *expected.missed(reposts=False), *expected.missed(reposts=True)}
    secrets |= {world.actors[did].handle(at) for did in withheld}
    others = {post.text for _, post in expected.last_seen.values() if post.author in people and post.exists(at)}
    secrets |= {
        post.text
        for uri, (_, post) in expected.last_seen.items()
        if post.text and len(post.text) > 20 and (uri in secrets or post.author in withheld)
    } - others
    for table in ten_days.tables():
        if table.startswith("rpt_"):
            told = "\n".join(str(row) for row in ten_days.rows(f"from {table}"))
            assert [secret for secret in secrets if secret and secret in told] == [], table


def test_reading_it_all_anew_gives_the_same(ten_days: Warehouse) -> None:
    """And dbt's own tests find nothing wrong with it."""
    anew = Warehouse(ten_days.folder, "anew")
    results = anew.dbt("build")
    assert {str(result.status) for result in results} == {"success", "pass", "no-op"}
    assert differences_of(ten_days, anew) == set()
