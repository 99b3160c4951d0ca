"""One member's walk through their feed: where it stops, what it stores, what it claims and what it remembers."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.network.budgets import Budget
from pipelines.sources import feed_walk
from pipelines.sources.rows import from_microseconds
from tests.network.scripted_server import Reply, ScriptedServer, error_reply
from tests.seeds import seeds
from tests.sources.member_feed import NOW, Item, MemberFeed, daily_posts, post

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Json = dict[str, Any]
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def any_server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


# How far a walk goes.


def test_first_walk_stores_the_whole_feed(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(250))
    walked = feed.walk()
    assert walked.names == [item.name for item in feed.items]
    assert len(walked.cursors) == 3
    assert walked.pull["outcome"] == "ok"
    assert walked.pull["reached_end"]
    assert (walked.pull["item_count"], walked.pull["new_item_count"]) == (250, 250)


def test_second_walk_with_nothing_new_costs_one_page_and_brings_nothing_new(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(250))
    first = feed.walk()
    second = feed.walk(first.state, NOW + DAY)
    assert second.cursors == [None]
    assert second.pull["new_item_count"] == 0
    assert second.state["cursor"] == first.state["cursor"]


@pytest.mark.parametrize(("count", "pages"), [(99, 1), (100, 2)])
def test_a_window_that_fits_on_a_page_with_one_older_item_costs_one_page(
    scripted_server: ScriptedServer, count: int, pages: int
) -> None:
    window = [post(f"w{number:03}", number / 100) for number in range(count)]
    feed = MemberFeed(scripted_server, [*window, *daily_posts(100, from_days_old=30)])
    assert len(feed.walk(feed.walk().state, NOW + DAY).cursors) == pages


def test_one_new_post_is_one_new_item(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(250))
    state = feed.walk().state
    feed.items.append(post("new", -0.5))
    walked = feed.walk(state, NOW + DAY)
    assert walked.pull["new_item_count"] == 1
    assert walked.names[0] == "new"
    assert len(walked.cursors) == 1


@pytest.mark.parametrize("length", [40, 250], ids=["feed shorter than a page", "long feed"])
def test_what_lies_inside_the_refresh_window_is_observed_again_and_nothing_else(
    scripted_server: ScriptedServer, length: int
) -> None:
    feed = MemberFeed(scripted_server, daily_posts(length))
    state = feed.walk().state
    for item in feed.items:
        item.likes = 7
    walked = feed.walk(state, NOW + DAY)
    assert walked.names == [f"p{day:03}" for day in range(6)], "less than seven days old"
    assert {row["like_count"] for row in walked.rows} == {7}
    assert feed.walk(state, NOW + DAY, refresh=2 * DAY).names == ["p000"]


def test_what_somebody_wrote_before_they_fell_silent_is_not_observed_for_ever(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(40, from_days_old=30))
    walked = feed.walk(feed.walk().state, NOW + DAY)
    assert walked.rows == []
    feed.items += [post("back", -1.5), post("late", 32.5, indexed_days_ago=-1.5)]
    assert feed.walk(walked.state, NOW + 2 * DAY).names == ["back", "late"]


def test_a_walk_goes_on_until_a_page_reaches_past_the_window(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, [post(f"w{number:03}", number / 100) for number in range(1_000)])
    walked = feed.walk(feed.walk().state, NOW)
    assert walked.names == [f"w{number:03}" for number in range(700)]
    assert len(walked.cursors) == 8


def test_a_long_absence_is_made_up_for(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(30))
    state = feed.walk().state
    missed = [post(f"m{number:03}", -number / 20) for number in range(1, 300)]
    feed.items += missed
    walked = feed.walk(state, NOW + 15 * DAY)
    assert {item.name for item in missed} <= set(walked.names)
    assert walked.pull["new_item_count"] == len(missed)
    assert from_microseconds(walked.pull["covered_from"]) == NOW, "no gap since the walk before"


def test_backfill_bounds_the_first_walk(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(450))
    walked = feed.walk(backfill=130 * DAY)
    assert walked.names == [f"p{day:03}" for day in range(130)]
    assert len(walked.cursors) == 2
    assert not walked.pull["reached_end"]
    second = feed.walk(walked.state, NOW + DAY, backfill=130 * DAY)
    assert len(second.cursors) == 1, "what is older than the backfill is not asked for again"


def test_a_backfill_of_no_days_begins_now(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(250, from_days_old=0.1))
    walked = feed.walk(backfill=timedelta(0))
    assert (walked.rows, len(walked.cursors)) == ([], 1)
    feed.items.append(post("new", -0.5))
    assert feed.walk(walked.state, NOW + DAY).names[0] == "new"


def test_full_reads_to_the_end_whatever_the_backfill(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(250))
    state = feed.walk(backfill=10 * DAY).state
    walked = feed.walk(state, NOW + DAY, backfill=10 * DAY, is_full=True)
    assert len(walked.rows) == 250
    assert walked.pull["reached_end"]


def test_a_post_dated_back_is_found_by_the_sweep_and_not_before(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(250))
    state = feed.walk().state
    feed.items.append(post("imported", 200.5, indexed_days_ago=-0.5))
    for night in range(1, 28):
        walked = feed.walk(state, NOW + night * DAY)
        assert "imported" not in walked.names
        state = walked.state
    walked = feed.walk(state, NOW + 28 * DAY)
    assert "imported" in walked.names
    assert walked.pull["reached_end"]
    assert "imported" not in feed.walk(walked.state, NOW + 29 * DAY).names, "the next sweep is four weeks away"
    assert "imported" in feed.walk(state, NOW + DAY, is_full=True).names


def test_a_post_dated_back_a_little_is_stored_when_it_is_new(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(40))
    state = feed.walk().state
    feed.items.append(post("imported", 20.5, indexed_days_ago=-0.5))
    walked = feed.walk(state, NOW + DAY)
    assert "imported" in walked.names
    assert walked.pull["new_item_count"] == 1
    assert "imported" not in feed.walk(walked.state, NOW + 2 * DAY).names


def test_a_pin_does_not_stop_a_walk(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, [post(f"w{number:03}", number / 20) for number in range(150)], page_size=1)
    feed.items.append(Item("pinned", NOW - 900 * DAY, NOW - 900 * DAY, is_pin=True))
    walked = feed.walk(feed.walk().state, NOW)
    assert set(walked.names) >= {f"w{number:03}" for number in range(140)}


# The end of a feed.


def repeat_the_cursor(cursor: str | None, page: Json) -> Json:
    return page if "cursor" in page else page | {"cursor": cursor}


def repeat_the_page(cursor: str | None, page: Json) -> Json:
    # The same place, spelt another way.
    return page if "cursor" in page or cursor is None else page | {"cursor": cursor.replace("at_", "at_0")}


def repeat_an_empty_page(cursor: str | None, page: Json) -> Json:
    return page if page.get("cursor") else page | {"cursor": "at_0_"}


@pytest.mark.parametrize("period", [1, 2, 3, 5])
def test_items_that_come_in_turn_end_a_feed_and_count_once(scripted_server: ScriptedServer, period: int) -> None:
    items, numbers = daily_posts(period), itertools.count()

    def turn(cursor: str | None, page: Json) -> Json:
        number = next(numbers)
        return {"feed": [items[number % period].view()], "cursor": f"at_{number}_c"}

    walked = MemberFeed(scripted_server, items, odd=turn).walk(posts_count=period + 1)
    assert len(walked.cursors) == period + 1
    assert walked.names == [item.name for item in items]
    assert walked.walk.is_doubtful, "what came again is no other post"


def test_new_items_without_end_fail_the_walk_and_nothing_else(
    scripted_server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_walk, "walk_budget", lambda: Budget("one feed", requests=10))
    numbers = itertools.count()

    def go_on(cursor: str | None, page: Json) -> Json:
        number = next(numbers)
        return {"feed": [post(f"n{number}", number / 1000).view()], "cursor": f"at_{number}_c"}

    walked = MemberFeed(scripted_server, daily_posts(3), odd=go_on).walk()
    assert len(walked.names) == len(walked.cursors) == 10
    assert walked.pull["outcome"] == "failed"
    assert "10 requests" in walked.pull["error"]
    assert walked.walk.next_state is None


@pytest.mark.parametrize("odd", [lambda cursor, page: page, repeat_the_cursor, repeat_the_page, repeat_an_empty_page])
def test_a_feed_ends_where_the_cursor_is_absent_or_repeats_or_a_page_adds_nothing(
    scripted_server: ScriptedServer, odd: Callable[[str | None, Json], Json]
) -> None:
    feed = MemberFeed(scripted_server, daily_posts(250), odd=odd)
    walked = feed.walk()
    assert len(walked.rows) == 250
    assert len(walked.cursors) <= 4
    assert walked.pull["outcome"] == "ok"
    assert walked.pull["reached_end"]


def test_a_short_or_empty_page_with_a_cursor_is_not_the_end(scripted_server: ScriptedServer) -> None:
    def thin_out(cursor: str | None, page: Json) -> Json:
        hidden = {None: 100, "at": 97}.get(cursor and cursor.split("_")[0], 0)
        return page | {"feed": page["feed"][hidden:]} if "cursor" in page else page

    feed = MemberFeed(scripted_server, daily_posts(250), odd=thin_out)
    walked = feed.walk()
    assert walked.names == ["p197", "p198", "p199", *(f"p{number}" for number in range(200, 250))]


def test_a_service_that_sends_empty_pages_for_ever_ends_the_walk_as_failed(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, [])
    feed.odd = lambda cursor, page: {"feed": [], "cursor": f"at_{10**15 - len(feed.cursors)}_x"}
    walked = feed.walk()
    assert walked.pull["outcome"] == "failed"
    assert "empty pages" in walked.pull["error"]
    assert walked.walk.next_state is None


def test_items_that_move_to_the_next_page_are_stored_once(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(150))

    def overlap(cursor: str | None, page: Json) -> Json:
        return page | {"feed": [feed.items[99].view(), *page["feed"]]} if cursor else page

    feed.odd = overlap
    walked = feed.walk()
    assert walked.names == [item.name for item in feed.items]
    assert walked.pull["item_count"] == 150


# A feed that ends early.


def end_after_a_page(cursor: str | None, page: Json) -> Json:
    return {"feed": page["feed"]}


@pytest.mark.parametrize(
    ("odd", "what"),
    [
        (end_after_a_page, "ended"),
        (lambda cursor, page: page | {"cursor": "at_9999999999999_z"}, "began to repeat itself"),
    ],
)
def test_an_end_that_comes_too_early_is_doubted_until_an_audit_and_never_taken_for_the_end(
    scripted_server: ScriptedServer, odd: Callable[[str | None, Json], Json], what: str
) -> None:
    feed = MemberFeed(scripted_server, daily_posts(250), odd=odd)
    walked = feed.walk()
    assert walked.pull["outcome"] == "ok"
    assert walked.pull["error"].endswith("of 250 posts")
    assert walked.pull["error"].startswith(f"the feed {what} after 100 ")
    assert not walked.pull["reached_end"]
    assert from_microseconds(walked.pull["covered_from"]) > feed.items[99].item_at
    for night in range(1, 4):
        walked = feed.walk(walked.state, NOW + night * DAY)
        assert len(walked.rows) == 100, "nothing is known of what comes after: all is asked for again"
        assert not walked.pull["reached_end"]
        assert walked.walk.is_doubtful
    audited = walked.state | {"doubtful_end_uri": None}
    settled = feed.walk(audited, NOW + 4 * DAY)
    assert len(settled.rows) == 3
    assert not settled.walk.is_doubtful
    assert not feed.walk(settled.state, NOW + 5 * DAY, is_full=True).pull["reached_end"]


def test_an_audit_is_remembered_by_later_walks(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(3))
    state = feed.walk().state
    assert "audit" not in state
    state["audit"] = {"audited_at": NOW.isoformat(), "rev": "3kabc"}
    assert feed.walk(state, NOW + DAY).state["audit"] == {"audited_at": NOW.isoformat(), "rev": "3kabc"}


def test_a_first_walk_that_lacks_one_post_is_not_believed(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(101), odd=end_after_a_page)
    assert not feed.walk().pull["reached_end"]
    feed.items = daily_posts(100)
    assert feed.walk().pull["reached_end"]


@given(
    kinds=st.lists(st.booleans(), max_size=30),
    page_size=st.integers(1, 5),
    nights=st.lists(
        st.tuples(
            st.integers(0, 8), st.integers(-2, 2), st.lists(st.booleans(), max_size=4), st.sets(st.integers(0, 40))
        ),
        min_size=1,
        max_size=6,
    ),
)
def test_a_feed_that_is_cut_anywhere_on_any_number_of_nights_has_no_end_unless_the_counts_agree(
    any_server: ScriptedServer,
    kinds: list[bool],
    page_size: int,
    nights: list[tuple[int, int, list[bool], set[int]]],
) -> None:
    """Some nights the feed is cut after a page, the service miscounts, and something is written or deleted."""

    def item(number: int, is_repost: bool) -> Item:
        at = NOW - 500 * DAY + number * DAY
        return Item(f"i{number:04}", at, at, is_repost=is_repost)

    feed = MemberFeed(any_server, [item(number, is_repost) for number, is_repost in enumerate(kinds)], page_size)
    state, written = None, len(kinds)
    for night, (pages, drift, added, deleted) in enumerate(nights):
        feed.items += [item(written + place, is_repost) for place, is_repost in enumerate(added)]
        written += len(added)
        feed.items = [one for place, one in enumerate(feed.items) if place not in deleted]
        posts_count = sum(not one.is_repost for one in feed.items) + drift

        def cut(cursor: str | None, page: Json, pages: int = pages) -> Json:
            return {"feed": page["feed"]} if pages and len(feed.cursors) >= pages else page

        feed.odd = cut
        known_end = state and state["end_uri"]
        walked = feed.walk(state, NOW + night * DAY, posts_count=posts_count, is_full=True)
        if walked.pull["reached_end"]:
            posts_read = sum(row["reason_type"] is None for row in walked.rows)
            assert posts_read == posts_count or known_end in {row["item_uri"] for row in walked.rows}
        assert walked.walk.is_doubtful != walked.pull["reached_end"]
        assert (walked.pull["error"] is None) != walked.walk.is_doubtful
        state = walked.state


def test_the_rest_of_a_feed_that_ended_early_is_read_by_the_next_walk(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(250), odd=end_after_a_page)
    state = feed.walk().state
    feed.odd = lambda cursor, page: page
    walked = feed.walk(state, NOW + DAY)
    assert len(walked.rows) == 250
    assert walked.pull["reached_end"]
    assert len(feed.walk(walked.state, NOW + 2 * DAY).cursors) == 1


def test_a_window_that_ended_early_is_read_again(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(30))
    state = feed.walk().state
    missed = [post(f"m{number:03}", -number / 20) for number in range(1, 300)]
    feed.items += missed
    feed.odd = end_after_a_page
    walked = feed.walk(state, NOW + 15 * DAY)
    assert len(walked.rows) == 100
    feed.odd = lambda cursor, page: page
    assert {item.name for item in missed} <= set(feed.walk(walked.state, NOW + 16 * DAY).names)


def test_a_feed_of_reposts_that_ends_earlier_than_before_is_not_believed(scripted_server: ScriptedServer) -> None:
    reposts = [Item(f"r{number:03}", NOW - number * DAY, NOW - number * DAY, is_repost=True) for number in range(250)]
    feed = MemberFeed(scripted_server, reposts)
    known = feed.walk()
    assert known.pull["reached_end"]
    feed.odd = end_after_a_page
    walked = feed.walk(known.state, NOW + DAY, is_full=True)
    assert not walked.pull["reached_end"]
    assert "earlier than before" in walked.pull["error"]


def test_a_long_known_feed_is_not_believed_to_have_lost_a_tenth(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(105))
    known = feed.walk()
    feed.odd = end_after_a_page
    assert not feed.walk(known.state, NOW + DAY, is_full=True).pull["reached_end"]


def test_when_the_oldest_post_is_deleted_the_count_settles_it(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(20))
    state = feed.walk().state
    del feed.items[-1]
    settled = feed.walk(state, NOW + DAY, is_full=True)
    assert settled.pull["reached_end"]
    assert len(settled.rows) == 19


def test_when_the_oldest_repost_is_deleted_no_count_can_settle_it(scripted_server: ScriptedServer) -> None:
    first = Item("first", NOW - 30 * DAY, NOW - 30 * DAY, is_repost=True)
    feed = MemberFeed(scripted_server, [*daily_posts(20), first])
    state = feed.walk().state
    feed.items.remove(first)
    for night in (1, 2):
        walked = feed.walk(state, NOW + night * DAY, is_full=True)
        assert walked.walk.is_doubtful
        state = walked.state


def test_a_feed_that_was_empty_once_is_no_measure_for_its_end(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, [])
    state = feed.walk().state
    feed.items = daily_posts(250)
    feed.odd = end_after_a_page
    assert not feed.walk(state, NOW + DAY).pull["reached_end"]


def test_an_empty_feed_is_read_to_its_end(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, [])
    walked = feed.walk()
    assert walked.pull["reached_end"]
    assert from_microseconds(walked.pull["covered_to"]) == NOW
    assert walked.state["cursor"] is None
    again = feed.walk(walked.state, NOW + DAY)
    assert again.pull["reached_end"]
    assert again.pull["error"] is None
    feed.items = daily_posts(3, from_days_old=-1)
    assert feed.walk(again.state, NOW + 2 * DAY).names == ["p000", "p001", "p002"]


# What is claimed.


@pytest.mark.parametrize("seed", seeds(40, by_default=10))
def test_what_a_walk_claims_to_cover_it_has_stored(scripted_server: ScriptedServer, seed: int) -> None:
    """Deletions are concluded from these claims: whatever was there and is covered must be among the rows."""
    dice = random.Random(seed)
    feed = MemberFeed(scripted_server, [], page_size=dice.choice((1, 3, 10)))
    backfill = dice.choice((None, 20 * DAY))
    state, now, number = None, NOW - 30 * DAY, 0
    for _ in range(6):
        for _ in range(dice.choice((0, 2, 15))):
            number += 1
            # Milliseconds that collide, microseconds that only the record has, clients whose clocks are slow.
            written = now - timedelta(milliseconds=dice.choice((1, 2, 3, 10**7, 10**8, 10**9)) * dice.randint(1, 3))
            latency = timedelta(microseconds=dice.choice((0, 400, 900)), minutes=dice.choice((0, 0, 0, 50, 9_000)))
            name = f"{dice.randint(0, 10**6):06}-{number}"
            feed.items.append(Item(name, written, min(written + latency, now), is_repost=dice.random() < 0.4))
        for item in dice.sample(feed.items, len(feed.items) // 10):
            feed.items.remove(item)
        feed.odd = end_after_a_page if dice.random() < 0.2 else lambda cursor, page: page
        walked = feed.walk(state, now, backfill=backfill, is_full=dice.random() < 0.2)
        pull, stored = walked.pull, set(walked.names)
        if pull["covered_to"] is not None:
            for item in feed.items:
                # Nobody counts the reposts behind the last post.
                may_lack = feed.odd is end_after_a_page and item.is_repost
                _, place, _ = item.sort_key
                is_covered = (pull["reached_end"] and not may_lack) or (
                    pull["covered_from"] < place * 1000 <= pull["covered_to"]
                )
                assert item.name in stored or not is_covered, (item, pull)
        state, now = walked.state, now + dice.choice((DAY / 1440, DAY, 9 * DAY))


def test_a_walk_that_leaves_something_out_does_not_claim_the_end(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(40))
    walked = feed.walk(feed.walk().state, NOW + DAY)
    assert len(walked.rows) == 6
    assert not walked.pull["reached_end"]
    assert from_microseconds(walked.pull["covered_from"]) == NOW + DAY - 7 * DAY


# What is remembered.


def test_the_cursor_is_never_in_the_future(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, [*daily_posts(40), post("tomorrow", 0.5, indexed_days_ago=-0.5)])
    walked = feed.walk()
    assert walked.state["cursor"] == NOW.isoformat()
    feed.items.append(post("new", -0.5))
    assert feed.walk(walked.state, NOW + DAY).pull["new_item_count"] == 2, "the new one, and the one still to come"


def test_the_cursor_does_not_go_back_when_the_newest_post_is_deleted(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(40))
    state = feed.walk().state
    del feed.items[0]
    assert feed.walk(state, NOW + DAY).state["cursor"] == state["cursor"]


@pytest.mark.parametrize("failure", [error_reply(500, "InternalServerError"), Reply(b'{"feed": "gone"}')])
def test_a_walk_that_fails_halfway_moves_nothing_and_claims_nothing(
    scripted_server: ScriptedServer, failure: Reply
) -> None:
    feed = MemberFeed(scripted_server, daily_posts(250))
    state = feed.walk().state
    feed.odd = lambda cursor, page: failure if cursor else page
    walked = feed.walk(state, NOW + DAY, is_full=True)
    assert walked.pull["outcome"] == "failed"
    assert walked.state == state
    assert len(walked.rows) == 100, "what was read is stored all the same"
    assert walked.pull["covered_from"] is None
    assert walked.pull["covered_to"] is None
    assert walked.pull["cursor_after"] == walked.pull["cursor_before"]
    feed.odd = lambda cursor, page: page
    assert len(feed.walk(state, NOW + 2 * DAY, is_full=True).rows) == 250


def test_a_member_whose_first_walk_failed_gets_the_whole_history_later(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(250), odd=lambda cursor, page: error_reply(502, "BadGateway"))
    failed = feed.walk()
    assert failed.pull["outcome"] == "failed"
    assert failed.walk.next_state is None
    feed.odd = lambda cursor, page: page
    assert len(feed.walk(failed.walk.next_state, NOW + DAY).rows) == 250


def test_a_cursor_that_is_no_text_fails_the_walk_and_keeps_the_page(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(scripted_server, daily_posts(250), odd=lambda cursor, page: page | {"cursor": {"at": 5}})
    walked = feed.walk()
    assert walked.pull["outcome"] == "failed"
    assert len(walked.rows) == 100


@pytest.mark.parametrize(
    ("error", "message", "outcome"),
    [
        ("AccountDeactivated", "Account is deactivated", "deactivated"),
        ("AccountTakedown", "Account has been suspended", "suspended"),
        ("InvalidRequest", "Profile not found", "not_found"),
        ("UpstreamFailure", "Something else", "failed"),
    ],
)
def test_a_member_who_cannot_be_read_is_told_apart_by_the_profile(
    scripted_server: ScriptedServer, error: str, message: str, outcome: str
) -> None:
    feed = MemberFeed(
        scripted_server, [], odd=lambda cursor, page: error_reply(400, "InvalidRequest", "Profile not found")
    )
    feed.profile_error = (error, message)
    walked = feed.walk()
    assert walked.pull["outcome"] == outcome
    assert message in walked.pull["error"]
    assert walked.walk.next_state is None


def test_a_member_whose_profile_is_shown_is_not_gone(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(
        scripted_server, [], odd=lambda cursor, page: error_reply(400, "InvalidRequest", "Profile not found")
    )
    assert feed.walk().pull["outcome"] == "failed"


def test_a_member_who_blocks_the_account_that_asks_is_blocked(scripted_server: ScriptedServer) -> None:
    feed = MemberFeed(
        scripted_server, [], odd=lambda cursor, page: error_reply(400, "BlockedByActor", "Requester has blocked")
    )
    assert feed.walk().pull["outcome"] == "blocked"
