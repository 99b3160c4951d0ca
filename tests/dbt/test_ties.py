"""Follows and likes of the sample world, as audits of three nights tell them: spans and reports say what is true."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import networkx as nx
import pytest

from pipelines.sample.world.truth import Follow, Like
from tests.dbt.raw_lakes import PACK, Load, rev_at
from tests.dbt.test_world import check
from tests.dbt.warehouses import Row, Warehouse, new_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipelines.sample.world.world import World

pytestmark = pytest.mark.slow

AUDITED_ON = (1, 5, 9)
HEARD_ON = range(6, 8)
"""Days whose follows the live job heard of."""

REPORTS = ("mutual_follows", "new_follows", "groups", "followed_outside", "liked_here")
MODELS = ("+fct_follow_spans", "+fct_likes_given", "+fct_reactions", *(f"+rpt_{name}" for name in REPORTS))
ASKS = "!no-unauthenticated"


@dataclass
class Ties:
    """A lake of members, their follows and likes, with what must be known of each.

    Attributes:
        warehouse: Built on it.
        spans: By URI: since when, first seen, ended after, ended before, and who said so.
    """

    world: World
    warehouse: Warehouse
    spans: dict[str, tuple[datetime, datetime, datetime | None, datetime | None, str | None]] = field(
        default_factory=dict
    )

    def repost(self, load: Load, member: str) -> None:
        """Let a member's feed show all that members like of others, but one post, which was seen a week ago.

        The author of another one asks to be hidden.
        """
        now = self.world.on(AUDITED_ON[-1]).now
        for number, uri in enumerate(liked := sorted(likers(self, 1))):
            post = next(post for post in self.world.posts if post.uri == uri and post.exists(now))
            is_stale = uri == popular(self)[0]
            seen_at = self.world.on(AUDITED_ON[0]).now if is_stale else now
            load.post(
                post.author.removeprefix("did:plc:"), post.rkey, seen_at, post.created_at, member=member,
                repost=f"r{number}", text=post.text, author_labels=[ASKS] if post.author == asking(self) else [],
            )  # fmt: skip
        assert liked

    def members_on(self, day: int) -> list[str]:
        now = self.world.on(day)
        listed = [item.subject for item in now.listed(self.world.packs[0].list)]
        return sorted(set(listed))

    def of(self, did: str) -> Iterator[Follow | Like]:
        yield from self.world.ties.follows[did]
        yield from self.world.ties.likes[did]

    def hear(self, load: Load, day: int) -> None:
        """Follows that were made or undone on a day."""
        for did in self.members_on(day):
            for follow in self.world.ties.follows[did]:
                for operation, at in (("create", follow.created_at), ("delete", follow.undone_at)):
                    if at is not None and self.world.on(day - 1).now < at <= self.world.on(day).now:
                        self._hear_one(load, follow, operation, at)

    def _hear_one(self, load: Load, follow: Follow, operation: str, at: datetime) -> None:
        name = follow.author.removeprefix("did:plc:")
        if operation == "create":
            made = {"cid": follow.cid, "created_at": follow.created_at, "subject_uri": follow.subject}
            load.event(name, "follow", follow.rkey, at, "create", **made)
            self.spans[follow.uri] = (at, at, None, None, None)
            return
        load.event(name, "follow", follow.rkey, at, "delete")
        if follow.uri in self.spans:
            self.spans[follow.uri] = (*self.spans[follow.uri][:2], at, at, "delete_event")

    def audit(self, load: Load, day: int) -> None:
        """What an audit writes: what the lake does not know, and what it knows and is gone."""
        at = self.world.on(day).now
        for did in self.members_on(day):
            load.audit(
                did.removeprefix("did:plc:"), at, audited_collections=["app.bsky.feed.like", "app.bsky.graph.follow"]
            )
            for one in self.of(did):
                known = self.spans.get(one.uri)
                if one.exists(at) and known is None:
                    liked = one.subject if isinstance(one, Like) else None
                    load.kept(
                        one.uri, at, rev_at(at), cid=one.cid, created_at=one.created_at,
                        subject_did=liked.uri.split("/")[2] if liked else one.subject,
                        subject_uri=liked and liked.uri,
                    )  # fmt: skip
                    self.spans[one.uri] = (one.created_at, at, None, None, None)
                elif known is not None and known[3] is None and not one.exists(at):
                    load.kept(one.uri, at, rev_at(at), is_gone=True)
                    seen = max(known[1], self._audited_before(did, day) or known[1])
                    self.spans[one.uri] = (*known[:2], seen, at, "record_gone")

    def ask_who_reacts(self, load: Load, day: int) -> None:
        """What an asking about the most liked posts writes; of the first one, pages are missing on one night."""
        now = self.world.on(day)
        for place, uri in enumerate(asked(self)):
            is_whole = place > 0 or day != AUDITED_ON[1]
            for kind, found in (("like", now.likes), ("repost", now.reposts)):
                actors = {one.author for one in found.get(uri, ())} if is_whole else set()
                load.add(
                    "audience_pulls", kind=kind, subject_uri=uri, observed_at=now.now, is_whole=is_whole,
                    page_count=1, item_count=len(actors),
                )  # fmt: skip
                for did in actors:
                    load.add("reactions", post_uri=uri, kind=kind, actor_did=did, observed_at=now.now, actor_labels=[])

    def _audited_before(self, did: str, day: int) -> datetime | None:
        days = [before for before in AUDITED_ON if before < day and did in self.members_on(before)]
        return self.world.on(days[-1]).now if days else None


@pytest.fixture(scope="module")
def ties(world: World, tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Ties:
    warehouse = Warehouse(new_project(tmp_path_factory.mktemp("ties"), parsed_project))
    ties = Ties(world, warehouse)
    for day in range(AUDITED_ON[0], AUDITED_ON[-1] + 1):
        load, at = Load(f"17724060{day:02}.5"), world.on(day).now
        if day in HEARD_ON:
            ties.hear(load, day)
        if day in AUDITED_ON:
            names = [did.removeprefix("did:plc:") for did in ties.members_on(day)]
            load.pack(at, names)
            for name in names:
                profile = world.actors[f"did:plc:{name}"].profile(at)
                load.pull(name, at)
                load.profile(name, at, labels=list(profile.labels) if profile else [])
            ties.audit(load, day)
            ties.ask_who_reacts(load, day)
            if day == AUDITED_ON[-1]:
                ties.repost(load, names[0])
        load.write(warehouse.dataset)
    warehouse.dbt("run", "--select", *MODELS)
    return ties


def people_of(ties: Ties) -> set[str]:
    """Who may be published on the last day."""
    now = ties.world.on(AUDITED_ON[-1])
    profiles = {did: ties.world.actors[did].profile(now.now) for did in ties.members_on(AUDITED_ON[-1])}
    people = {did for did, profile in profiles.items() if not (profile and ASKS in profile.labels)}
    assert people != profiles.keys(), "somebody asks to be hidden"
    return people


def likers(ties: Ties, at_least: int) -> dict[str, int]:
    """Posts of others that people of the pack like on the last day, and how many of them do."""
    now, members = ties.world.on(AUDITED_ON[-1]), set().union(*map(ties.members_on, AUDITED_ON))
    counts = Counter(
        like.subject.uri
        for did in people_of(ties)
        for like in ties.world.ties.likes[did]
        if like.exists(now.now) and like.subject.uri in now.posts
    )
    return {uri: n for uri, n in counts.items() if n >= at_least and uri.split("/")[2] not in members}


def popular(ties: Ties) -> list[str]:
    found = sorted(likers(ties, 3))
    assert len(found) > 2, found
    return found


def asking(ties: Ties) -> str:
    """The author who asks to be hidden: of the last of the popular posts."""
    return popular(ties)[-1].split("/")[2]


def asked(ties: Ties) -> list[str]:
    """The posts that most people had liked by the last day."""
    until = ties.world.on(AUDITED_ON[-1]).now
    given = (like for did in ties.world.actors for like in ties.world.ties.likes[did])
    likes = Counter(like.subject.uri for like in given if like.created_at <= until)
    return sorted(likes, key=lambda uri: (-likes[uri], uri))[:40]


def current(ties: Ties) -> dict[tuple[str, str], datetime]:
    """Who of those who may be published follows whom of them on the last day, and since when."""
    now, people = ties.world.on(AUDITED_ON[-1]), people_of(ties)
    follows = [follow for did in people for follow in ties.world.ties.follows[did] if follow.exists(now.now)]
    return {(one.author, one.subject): one.created_at for one in follows if one.subject in people}


def test_a_span_is_as_long_as_its_record_was_there(ties: Ties) -> None:
    undone = {reason for *_, reason in ties.spans.values()}
    assert undone == {None, "delete_event", "record_gone"}
    for model, begin, collection in (
        ("fct_follow_spans", "followed_at", "app.bsky.graph.follow"),
        ("fct_likes_given", "liked_at", "app.bsky.feed.like"),
    ):
        key = "follow_uri" if begin == "followed_at" else "like_uri"
        truth: set[Row] = {(uri, 1, *span) for uri, span in ties.spans.items() if f"/{collection}/" in uri}
        columns = f"{key}, span_number, {begin}, first_seen_at, ended_after, ended_before, ended_because"
        check(ties.warehouse, f"select {columns} from {model}", truth)


def test_a_follow_says_of_whom_it_is_and_a_like_of_which_post(ties: Ties) -> None:
    members = set(ties.members_on(AUDITED_ON[-1]))
    all_ties = [one for did in ties.world.actors for one in ties.of(did) if one.uri in ties.spans]
    check(
        ties.warehouse,
        "select follow_uri, follower_did, followed_did, is_inside from fct_follow_spans",
        {
            (one.uri, one.author, one.subject, {one.author, one.subject} <= members)
            for one in all_ties
            if isinstance(one, Follow)
        },
    )
    check(
        ties.warehouse,
        "select like_uri, liker_did, post_uri, is_of_member from fct_likes_given",
        {
            (one.uri, one.author, one.subject.uri, one.subject.uri.split("/")[2] in members)
            for one in all_ties
            if isinstance(one, Like)
        },
    )


def test_what_is_taken_back_is_known_from_whole_lists_alone(ties: Ties) -> None:
    truth: set[Row] = set()
    for place, uri in enumerate(asked(ties)):
        whole = [day for day in AUDITED_ON if place > 0 or day != AUDITED_ON[1]]
        for kind in ("like", "repost"):
            seen: dict[str, list[int]] = {}
            for day in whole:
                now = ties.world.on(day)
                for one in (now.likes if kind == "like" else now.reposts).get(uri, ()):
                    seen.setdefault(one.author, []).append(day)
            for did, days in seen.items():
                end = next((ties.world.on(day).now for day in whole if day > days[-1]), None)
                first, last = (ties.world.on(day).now for day in (days[0], days[-1]))
                truth.add((uri, kind, did, first, last, end is None, end))
    assert {row[-2] for row in truth} == {True, False}
    columns = "post_uri, kind, actor_did, first_seen_at, last_seen_at, is_current, ended_before"
    check(ties.warehouse, f"select {columns} from fct_reactions", truth)


def test_reports_tell_who_follows_each_other_and_who_began_to(ties: Ties) -> None:
    follows, now = current(ties), ties.world.on(AUDITED_ON[-1]).now
    mutual = {
        (one, other, max(since, follows[other, one]))
        for (one, other), since in follows.items()
        if one < other and (other, one) in follows
    }
    query = f"select one_did, other_did, tied_since from rpt_mutual_follows where pack_uri = '{PACK}'"
    check(ties.warehouse, query, mutual)
    check(
        ties.warehouse,
        f"select follower_did, followed_did, followed_at from rpt_new_follows where pack_uri = '{PACK}'",
        {(*pair, since) for pair, since in follows.items() if since > now - timedelta(days=7)},
    )


def test_each_member_with_a_tie_is_in_the_group_that_the_library_finds(ties: Ties) -> None:
    graph: nx.Graph[str] = nx.Graph()
    graph.add_nodes_from(sorted({did for pair in current(ties) for did in pair}))
    for one, other in sorted({(min(pair), max(pair)) for pair in current(ties)}):
        graph.add_edge(one, other, weight=2 if {(one, other), (other, one)} <= current(ties).keys() else 1)
    groups = {frozenset(group) for group in nx.community.louvain_communities(graph, seed=1)}
    assert len(groups) > 1
    rows = ties.warehouse.rows(f"select did, group_did, group_member_count from rpt_groups where pack_uri = '{PACK}'")
    named = {group: frozenset(did for did, name, _ in rows if name == group) for _, group, _ in rows}
    assert set(named.values()) == groups
    assert all(group in people for group, people in named.items())
    assert all(count == len(named[group]) for _, group, count in rows)
    betweenness = nx.betweenness_centrality(graph)
    check(
        ties.warehouse,
        f"select did, round(betweenness, 6) from rpt_groups where pack_uri = '{PACK}'",
        {(did, round(value, 6)) for did, value in betweenness.items()},
    )


def test_what_many_like_and_whom_many_follow_outside_is_told_of_those_who_may_be_published(ties: Ties) -> None:
    stale, now = popular(ties)[0], ties.world.on(AUDITED_ON[-1])
    # The feed of one member shows all that anybody likes, as reposts of the time at which it was written.
    reposter = {ties.members_on(AUDITED_ON[-1])[0]} & people_of(ties)
    posts = {}
    for uri in likers(ties, 1).keys() - {stale}:
        post, since = now.posts[uri], now.now - timedelta(days=28)
        likes = [like for did in people_of(ties) for like in ties.world.ties.likes[did] if like.subject.uri == uri]
        fans = {like.author for like in likes if like.exists(now.now) and like.created_at > since}
        reposters = reposter if post.item_at > since else set()
        if len(fans | reposters) >= 3 and post.author != asking(ties):
            posts[uri] = (len(fans | reposters), len(fans), len(reposters), post.text)
    assert any(count > like_count for count, like_count, *_ in posts.values())
    check(
        ties.warehouse,
        "select post_uri, member_count, liker_count, reposter_count, text"
        f" from rpt_liked_here where pack_uri = '{PACK}'",
        {(uri, *told) for uri, told in posts.items()},
    )
    # Only of whom a feed has shown a post it is known what they ask for.
    known = {uri.split("/")[2] for uri in likers(ties, 1)} - {asking(ties)}
    follows = {
        (one.author, one.subject)
        for did in people_of(ties)
        for one in ties.world.ties.follows[did]
        if one.exists(now.now)
    }
    counts = Counter(followed for _, followed in follows if followed in known)
    check(
        ties.warehouse,
        f"select did, follower_count from rpt_followed_outside where pack_uri = '{PACK}'",
        {(did, count) for did, count in counts.items() if count >= 3},
    )
