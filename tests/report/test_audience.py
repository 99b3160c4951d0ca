"""Who reacts to members' top posts: what the marts say is what is true in the world, and reports count it right."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from pipelines.sources.audience import DEPTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.sample.world.truth import Post
    from pipelines.sample.world.world import Day, World
    from tests.report.conftest import Published, Row

Reaction = tuple[str, str, str, str | None]


@pytest.fixture(scope="module")
def day(world: World, published: Published) -> Day:
    return world.on(published.day)


def asked(published: Published, kind: str) -> list[str]:
    rows = published.rows("select distinct subject_uri from stg_bluesky__audience_pulls where kind = $kind", kind=kind)
    assert rows, kind
    return [row["subject_uri"] for row in rows]


def below(day: Day, uri: str, depth: int) -> Iterator[Post]:
    for reply in day.replies.get(uri, ()) if depth else ():
        if not day.is_blocked(reply.author, uri.split("/")[2]):
            yield reply
            yield from below(day, reply.uri, depth - 1)


def answers(day: Day, uri: str) -> Iterator[Post]:
    """Answers to a post, and answers to these in a conversation that begins with it."""
    yield from below(day, uri, 1 if day.posts[uri].reply else DEPTH)


def truth(published: Published, day: Day) -> set[Reaction]:
    found: set[Reaction] = {
        (uri, "like", one.author, None) for uri in asked(published, "like") for one in day.likes[uri]
    }
    found |= {(uri, "repost", one.author, None) for uri in asked(published, "repost") for one in day.reposts[uri]}
    found |= {(uri, "quote", one.author, one.uri) for uri in asked(published, "quote") for one in day.quotes[uri]}
    replies = [reply for uri in asked(published, "reply") for reply in answers(day, uri)]
    return found | {(one.reply.parent.uri, "reply", one.author, one.uri) for one in replies if one.reply}


def test_the_mart_has_the_reactions_that_are_true(published: Published, day: Day) -> None:
    rows = published.rows("from fct_reactions where is_current")
    found = {(row["post_uri"], row["kind"], row["actor_did"], row["reaction_uri"]) for row in rows}
    assert found == truth(published, day)
    assert len(found) == len(rows)
    assert {kind for _, kind, _, _ in found} == {"like", "repost", "quote", "reply"}
    members = {item.subject for pack in day.world.packs for item in day.memberships(pack.list)}
    assert {row["actor_did"] for row in rows if not row["is_by_member"]}.isdisjoint(
        item.subject for pack in day.world.packs for item in day.listed(pack.list)
    )
    assert {row["actor_did"] for row in rows if row["is_by_member"]} <= members


def test_who_is_outside_and_reacts_most(published: Published, day: Day) -> None:
    members = {row["did"] for row in published.rows("select did from rpt_members")}
    ever = {row["did"] for row in published.rows("select did from bridge_pack_members")}
    rows = published.rows("from fct_reactions where is_current")
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        is_recent = (row["reacted_at"] or row["first_seen_at"]) > day.now - timedelta(days=7)
        if is_recent and row["actor_did"] not in ever and row["post_author_did"] in members:
            counts[row["actor_did"]][row["post_author_did"]] += 1
    report = published.rows("from rpt_reactors_outside where pack_uri = 'all' and period = 'week'")
    assert {row["did"]: row["reaction_count"] for row in report} == {did: to.total() for did, to in counts.items()}
    assert report
    for row in report:
        assert row["top_author_reaction_count"] == max(counts[row["did"]].values())
        assert row["author_count"] == len(counts[row["did"]])
        assert row["handle"] == day.actors[row["did"]].handle(day.now)


def test_how_far_posts_travelled(published: Published, day: Day) -> None:
    people: dict[str, set[str]] = defaultdict(set)
    for uri, _, actor, _ in truth(published, day):
        if actor != uri.split("/")[2]:
            people[uri].add(actor)
    now = {row["did"] for row in published.rows("select did from bridge_pack_members where is_current")}
    report = published.rows("from rpt_post_reach where pack_uri = 'all' and period = 'week'")
    assert len(report) == 25
    for row in report:
        uri = row["post_uri"]
        assert row["person_count"] == len(people[uri])
        assert row["outside_person_count"] == len(people[uri] - now)
        tree = list(answers(day, uri)) if uri in asked(published, "reply") else []
        assert (row["conversation_post_count"], row["is_whole"]) == (len(tree), True)
        assert row["conversation_depth"] == max((depth_of(day, reply, uri) for reply in tree), default=0)
    assert max(row["conversation_depth"] for row in report) >= 3


def depth_of(day: Day, reply: Post, top: str) -> int:
    assert reply.reply
    parent = reply.reply.parent.uri
    return 1 if parent == top else 1 + depth_of(day, day.posts[parent], top)


def test_a_conversation_is_the_tree_below_its_post(published: Published, day: Day) -> None:
    publishable = {row["did"] for row in published.rows("select did from dim_authors where is_publishable")}
    report: dict[str, list[Row]] = defaultdict(list)
    for row in published.rows("from rpt_conversations where pack_uri = 'all' order by top_post_uri, order_number"):
        report[row["top_post_uri"]].append(row)
    assert report
    for top, rows in report.items():
        tree = {reply.uri: reply for reply in answers(day, top)}
        shown = {uri for uri, reply in tree.items() if reply.author in publishable}
        # Whoever names somebody who is withheld is left out.
        assert {row["post_uri"] for row in rows} <= shown
        places = {row["post_uri"]: place for place, row in enumerate(rows)}
        for row in rows:
            reply = tree[row["post_uri"]]
            assert reply.reply
            assert (row["text"], row["author_did"]) == (reply.text, reply.author)
            assert row["answer_depth"] == depth_of(day, reply, top)
            parent = reply.reply.parent.uri
            assert row["parent_uri"] == (parent if parent == top or parent in places else None)
            assert parent not in places or places[parent] < places[row["post_uri"]]
    named = sum(len(rows) for rows in report.values())
    everything = {(top, one.uri) for top in report for one in answers(day, top) if one.author in publishable}
    assert len(everything) - named < 5
