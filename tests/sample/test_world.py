"""The sample world: the same for the same seed, and a day that follows from the one before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from pipelines.sample.appview.views import Views
from pipelines.sample.world.days import evening
from pipelines.sample.world.records import record
from pipelines.sample.world.truth import AccountEvent, Counts, Defect, IdentityEvent, RecordEvent

if TYPE_CHECKING:
    from pipelines.sample.world.truth import MemberList
    from pipelines.sample.world.world import World

BEGINNING = datetime.min.replace(tzinfo=UTC)
DIGEST = """
import hashlib, sys
from pipelines.sample.appview.views import Views
from pipelines.sample.world.world import World
from pipelines.sample.appview.queries import answer
world, digest = World(int(sys.argv[1])), hashlib.sha256()
for day in map(int, sys.argv[2:]):
    views = Views(world.on(day))
    if day < 10:
        for actor in views.day.actors.values():
            digest.update(views.author_feed(actor, 100_000, None))
        for pack in world.packs:
            digest.update(answer("app.bsky.graph.getStarterPack", views, {"starterPack": [pack.uri]}))
            digest.update(answer("app.bsky.graph.getList", views, {"list": [pack.list.uri]}))
print(digest.hexdigest())
"""


def _digest(hash_seed: str, *arguments: int) -> str:
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-c", DIGEST, *map(str, arguments)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


@pytest.mark.slow
@pytest.mark.parametrize("days", [(1,), (1, 5)])
def test_same_seed_same_bytes_in_every_process_and_whatever_was_asked_before(days: tuple[int, ...]) -> None:
    first = _digest("1", 1, *days)
    assert _digest("2", 1, 12, *days) == first
    assert _digest("1", 2, *days) != first


def test_there_is_no_day_before_day_one(world: World) -> None:
    with pytest.raises(ValueError, match="from day 1 on"):
        world.on(0)


def test_days_end_at_23_utc_and_day_one_is_a_monday(world: World) -> None:
    assert world.on(1).now == datetime(2026, 3, 2, 23, tzinfo=UTC)
    assert world.on(1).now.weekday() == 0
    assert world.on(8).now == datetime(2026, 3, 9, 23, tzinfo=UTC)


@pytest.mark.parametrize("number", range(1, 11))
def test_what_is_shown_today_is_shown_tomorrow_unless_somebody_took_it_back(world: World, number: int) -> None:
    today, tomorrow = world.on(number), world.on(number + 1)
    missing = today.posts.keys() - tomorrow.posts.keys()
    for uri in missing:
        post = today.posts[uri]
        was_deleted = post.deleted_at is not None and today.now < post.deleted_at <= tomorrow.now
        assert was_deleted or not tomorrow.actors[post.author].is_available(tomorrow.now)
    for uri in tomorrow.posts.keys() - today.posts.keys():
        post = tomorrow.posts[uri]
        assert today.now < post.indexed_at <= tomorrow.now or not today.actors[post.author].is_available(today.now)
    edited = [
        uri for uri in today.posts.keys() & tomorrow.posts.keys() if today.posts[uri].cid != tomorrow.posts[uri].cid
    ]
    assert all(today.now < tomorrow.posts[uri].indexed_at <= tomorrow.now for uri in edited)


@pytest.mark.parametrize("number", [1, 2, 3, 6])
def test_counts_only_shrink_by_what_members_took_back(world: World, number: int) -> None:
    today, tomorrow = world.on(number), world.on(number + 1)
    taken_back = Counter[str]()
    for post in world.posts:
        if post.deleted_at and today.now < post.deleted_at <= tomorrow.now:
            if post.reply:
                taken_back[post.reply.parent.uri] += 1
            if post.embed and post.embed.quoted:
                taken_back[post.embed.quoted.uri] += 1
    for repost in world.reposts:
        if repost.deleted_at and today.now < repost.deleted_at <= tomorrow.now:
            taken_back[repost.subject.uri] += 1
    grown = 0
    for uri in today.posts.keys() & tomorrow.posts.keys():
        before, after = today.counts(today.posts[uri]), tomorrow.counts(tomorrow.posts[uri])
        if (total := _total(after)) is not None and (total_before := _total(before)) is not None:
            assert total >= total_before - taken_back[uri]
            assert (after.like or 0) >= (before.like or 0)
            grown += total > total_before
    assert grown > 50


def _total(counts: Counts) -> int | None:
    parts = (counts.like, counts.repost, counts.reply, counts.quote, counts.bookmark)
    return sum(part for part in parts if part is not None) if any(part is not None for part in parts) else None


def test_counts_hold_what_members_did_and_did_not_take_back(world: World) -> None:
    day = world.on(4)
    replies, quotes, reposts = Counter[str](), Counter[str](), Counter[str]()
    for post in world.posts:
        if post.exists(day.now):
            replies[post.reply.parent.uri if post.reply else ""] += 1
            quotes[post.embed.quoted.uri if post.embed and post.embed.quoted else ""] += 1
    for repost in world.reposts:
        reposts[repost.subject.uri] += repost.exists(day.now)
    for uri, post in day.posts.items():
        if post.defect is None:
            counts, share = day.counts(post), post.engagement.share(day.now)
            assert counts.reply == int(post.engagement.replies * share) + replies[uri]
            assert counts.quote == int(post.engagement.quotes * share) + quotes[uri]
            assert counts.repost == int(post.engagement.reposts * share) + reposts[uri]


def test_old_posts_still_gain_and_quiet_ones_stay_at_zero(world: World) -> None:
    first, tenth = world.on(1), world.on(10)
    old = [post for uri, post in first.posts.items() if post.indexed_at < evening(-7) and uri in tenth.posts]
    assert any(first.counts(post) != tenth.counts(post) for post in old)
    assert any(tenth.counts(post) == Counts(0, 0, 0, 0, 0) for post in old)


def test_members_join_and_leave_on_their_days(world: World) -> None:
    main = world.packs[0].list

    def members(day: int) -> set[str]:
        return {world.actors[item.subject].name for item in world.on(day).memberships(main)}

    assert len(members(1)) >= 30
    assert members(3) - members(2) == {"ines"}
    assert members(4) - members(5) == {"pavel"}
    assert members(8) - members(7) == {"pavel"}
    assert members(20) - members(10)
    both = {item.subject for item in main.items} & {item.subject for item in world.packs[1].list.items}
    assert len(both) >= 3
    assert world.lists[0].purpose == "curatelist"
    assert len(world.on(1).feed(world.actor("ines").did)) > 50, "who joins on day 3 has a history"


def test_hidden_members_are_on_the_list_but_not_shown(world: World) -> None:
    day, main = world.on(1), world.packs[0].list
    hidden = {item.subject for item in day.memberships(main)} - {item.subject for item in day.listed(main)}
    assert {world.actors[did].name for did in hidden} == {"ghosted", "spammy", "gone", "aloof"}


def test_some_opt_out_of_a_list_and_some_take_it_back(world: World) -> None:
    people, ducks, talks = world.packs[0].list, world.packs[1].list, world.lists[0]

    def out_of(members: MemberList, day: int) -> set[str]:
        now = world.on(day)
        return {world.actors[item.subject].name for item in now.memberships(members)} - {
            world.actors[item.subject].name for item in now.listed(members)
        }

    assert [out_of(ducks, day) for day in (1, 2, 3, 4)] == [set(), {"raul"}, {"raul"}, {"felix"}]
    assert "greta" not in out_of(people, 2)
    assert "greta" in out_of(people, 3)
    assert "felix" not in out_of(people, 4), "out of one, on the other"
    assert out_of(talks, 4) == set(), "that of a list behind no pack is not heeded"
    names = {world.actors[opt_out.author].name for opt_out in world.opt_outs if opt_out.exists(world.on(4).now)}
    assert names == {"felix", "greta", "stefan"}


def test_everything_that_a_pipeline_can_trip_over_is_in_the_main_packs_feeds_on_day_one(world: World) -> None:
    day = world.on(1)
    members = [item.subject for item in day.listed(world.packs[0].list)]
    items = [item for did in members for item in day.feed(did)]
    posts = [item.post for item in items]
    embeds = [post.embed for post in posts if post.embed]
    assert {post.defect for post in posts} == {None, *Defect}
    assert {embed.type for embed in embeds} == {
        "app.bsky.embed.images",
        "app.bsky.embed.gallery",
        "app.bsky.embed.video",
        "app.bsky.embed.external",
        "app.bsky.embed.record",
        "app.bsky.embed.recordWithMedia",
        "com.example.embed.hologram",
    }
    assert {bool(media.alt) for embed in embeds for media in embed.media} == {True, False}
    features = {facet.feature for post in posts for facet in post.facets or ()}
    assert {"mention", "link", "tag"} < features
    assert any("." in feature for feature in features)
    assert {"en", "pt", "es", "de", "ja", "fr"} <= {lang for post in posts for lang in post.langs or ()}
    assert any(post.extra for post in posts)
    assert any(post.tags for post in posts)
    assert any(post.self_labels for post in posts)
    assert any(post.labels for post in posts)
    assert any(post.text == "" for post in posts)
    assert any(item.repost and item.post.author == item.member for item in items)
    assert any(item.repost and item.post.author not in members for item in items)
    dated = [post for post in posts if post.created_at]
    assert any((post.indexed_at - post.created_at).days > 365 for post in dated if post.created_at)
    assert any(post.created_at > post.indexed_at for post in dated if post.created_at)
    forms = {(text or "Z")[10:].lstrip("T0123456789:.") for text in (post.created_at_text for post in posts)}
    assert len(forms) >= 3, "with Z and with several offsets"
    times = Counter(
        item.key[0] for did in members for item in day.feed(did) if item.member == world.actor("archivist").did
    )
    assert max(times.values()) > 1, "two items of one feed with the same time"
    views = Views(day)
    served = b"".join(views.author_feed(world.actors[did], 100_000, None) for did in members)
    for kind in (
        b"feed.defs#notFoundPost",
        b"feed.defs#blockedPost",
        b"record#viewNotFound",
        b"record#viewBlocked",
        b"record#viewDetached",
        b"record#viewRecord",
        b"graph.defs#starterPackViewBasic",
        b"feed.defs#generatorView",
        b'"val":"bot"',
        b'"val":"!no-unauthenticated"',
        b'"handle":"handle.invalid"',
    ):
        assert kind in served, kind


def test_a_later_day_brings_imports_edits_deletions_and_handles(world: World) -> None:
    first, fifth = world.on(1), world.on(5)
    new = [post for uri, post in fifth.posts.items() if uri not in first.posts]
    assert any((post.indexed_at - post.created_at).days > 365 for post in new if post.created_at), "an import"
    assert any(post.cid != first.posts[uri].cid for uri, post in fifth.posts.items() if uri in first.posts), "an edit"
    deleted = [post for post in world.posts if post.deleted_at and first.now < post.deleted_at <= fifth.now]
    ages = [(post.deleted_at - post.indexed_at).days for post in deleted if post.deleted_at]
    assert min(ages) < 7 < max(ages)
    jonas, leo = world.actor("jonas"), world.actor("leo")
    assert jonas.handle(first.now) == leo.handle(evening(6)) == "jonas.bsky.test"
    statuses = {name: [world.actor(name).status(evening(day)) for day in (1, 3, 5, 8)] for name in ("hana", "vanish")}
    assert statuses["hana"] == ["active", "deactivated", "active", "active"]
    assert statuses["vanish"] == ["active", "active", "active", "deleted"]


def test_facets_point_at_whole_characters_of_what_they_mark(world: World) -> None:
    marked = 0
    for post in world.posts:
        for facet in post.facets or ():
            assert post.text is not None
            piece = post.text.encode()[facet.byte_start : facet.byte_end].decode()
            marked += facet.byte_start != len(post.text[: post.text.index(piece)])
            if facet.feature == "tag":
                assert piece == f"#{facet.value}"
            elif facet.feature == "mention":
                assert piece.startswith("@")
                assert facet.value in world.actors
    assert marked > 50, "byte offsets that differ from character offsets"


def test_people_write_by_day_and_rest_on_sundays(world: World) -> None:
    written = [post.indexed_at for post in world.posts if post.indexed_at < world.on(1).now]
    by_weekday = Counter(at.weekday() for at in written)
    by_hour = Counter(at.hour for at in written)
    assert by_weekday[6] < by_weekday[1] / 2
    assert by_hour[3] < by_hour[14] / 2


def _fold(world: World, until: datetime) -> dict[str, str]:
    there: dict[str, str] = {}
    for event in world.events(BEGINNING, until):
        if isinstance(event, RecordEvent):
            uri = f"at://{event.did}/{event.collection}/{event.rkey}"
            assert (event.operation == "create") == (uri not in there)
            if event.operation == "delete":
                del there[uri]
            else:
                assert event.cid is not None
                there[uri] = event.cid
    return there


@pytest.mark.parametrize("number", [1, 6])
def test_events_fold_to_what_stands_in_the_repositories(world: World, number: int) -> None:
    day = world.on(number)
    folded = {
        uri: cid for uri, cid in _fold(world, day.now).items() if day.actors[uri.split("/")[2]].is_available(day.now)
    }
    assert {uri: cid for uri, cid in folded.items() if "/app.bsky.feed.post/" in uri} == {
        uri: post.cid for uri, post in day.posts.items()
    }
    shown = {item.repost.uri for did in day.actors for item in day.feed(did) if item.repost}
    assert shown <= folded.keys()
    main = world.packs[0].list
    assert {item.uri for item in day.memberships(main)} == {
        uri for uri in folded if uri.startswith(f"at://{main.creator}/app.bsky.graph.listitem/")
    }


def test_events_come_in_order_once_and_with_rising_revisions(world: World) -> None:
    start, middle, end = evening(0), evening(3), evening(6)
    events = list(world.events(start, end))
    assert events == [*world.events(start, middle), *world.events(middle, end)]
    world.on(30)
    assert events == list(world.events(start, end)), "a later day changes nothing"
    assert [event.at for event in events] == sorted(event.at for event in events)
    assert all(start < event.at <= end for event in events)
    revs: dict[str, str] = {}
    for event in world.events(BEGINNING, end):
        assert event.rev > revs.get(event.did, "")
        revs[event.did] = event.rev
    kinds = {event.operation for event in events if isinstance(event, RecordEvent)}
    assert kinds == {"create", "update", "delete"}
    assert {event.status for event in events if isinstance(event, AccountEvent)} >= {
        "deactivated",
        "active",
        "suspended",
    }
    assert any(isinstance(event, IdentityEvent) and event.handle == "ahrens-data.test" for event in events)


def test_every_event_s_record_can_be_written_as_json(world: World) -> None:
    for event in world.events(evening(0), evening(6)):
        if isinstance(event, RecordEvent) and event.record is not None:
            assert record(event.record)["$type"] == event.collection
