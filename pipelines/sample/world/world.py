"""The sample world: a small community of data people, to be looked at evening by evening. Same seed, same world."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import defaultdict
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from pipelines.sample.world import script
from pipelines.sample.world.days import FIRST_SLOT, evening, slot_of
from pipelines.sample.world.ids import did
from pipelines.sample.world.repositories import Stored, history, records, repository
from pipelines.sample.world.simulation import Simulation
from pipelines.sample.world.truth import Actor, Counts, Defect, Event, FeedItem, ListItem, MemberList, Post, StarterPack

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pipelines.sample.world.truth import Like, Repost

T = TypeVar("T", "Like", "Repost", Post)


class World:
    """Everything that is, was and will be true.

    What it holds reaches as far as the latest day that was asked for; asking for a later day only adds to it.

    Attributes:
        labeler: DID of the labeler whose labels the service shows.
        actors: Everybody, by DID: members, former and later members, and the people they talk to.
        packs: The starter packs; the first is the one to follow by default. Each knows its list.
        lists: The plain lists, that no pack stands on.
        blocks: Who blocks whom.
        opt_outs: Who opted out of which list.
        posts: Every version of every post, deleted ones too.
        reposts: Every repost, deleted ones too.
        ties: Every follow and every like, undone ones too.
    """

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self.labeler = did(f"{seed}/moderation")
        self._simulation = Simulation(seed, script.prepare)
        self._days: dict[int, Day] = {}
        # Servers in threads of their own look at the same world.
        self._lock = threading.RLock()
        self._history: list[Event] = []
        self._history_slot = FIRST_SLOT - 1
        self._simulation.run_to(1)
        self.actors = self._simulation.actors
        self.packs: tuple[StarterPack, ...] = self._simulation.packs
        self.lists: tuple[MemberList, ...] = self._simulation.lists
        self.blocks = self._simulation.blocks
        self.opt_outs = self._simulation.opt_outs
        self.posts = self._simulation.posts
        self.reposts = self._simulation.reposts
        self.ties = self._simulation.ties

    def on(self, day: int) -> Day:
        """Look at the world in the evening of a day, at 23:00 UTC; day 1 is Monday, 2 March 2026.

        Raises:
            ValueError: The day is before day 1.
        """
        if day < 1:
            msg = f"The sample world can be looked at from day 1 on, not on day {day}"
            raise ValueError(msg)
        with self._lock:
            self._simulation.run_to(day)
            if day not in self._days:
                self._days[day] = Day(self, self._simulation, day)
            return self._days[day]

    def actor(self, name: str) -> Actor:
        """Find somebody by the name that people.py gives them."""
        return self._simulation.actor(name)

    def events(self, since: datetime, until: datetime) -> Iterator[Event]:
        """Tell what happens to repositories and accounts after `since` and up to `until`, in order of time.

        Folding the events gives what stands in the repositories: every version of every record is created or updated,
        and deleted, once. Whoever deletes their account leaves with one event, and no deletes.
        """
        with self._lock:
            if self._history_slot < slot_of(until):
                self._simulation.run_to(slot_of(until))
                self._history, self._history_slot = history(self._simulation), self._simulation.slot
            happened = self._history
        start = bisect_right(happened, since, key=lambda event: event.at)
        for event in islice(happened, start, None):
            if event.at > until:
                return
            yield event

    def counts(self, post: Post, at: datetime) -> Counts:
        """Count the engagement of a post at a moment: what members did to it, and everybody else."""
        share = post.engagement.share(at)
        known = {"repost": 0, "reply": 0, "quote": 0}
        for kind, since, until in self._simulation.answers.get(post.uri, ()):
            if since <= at and (until is None or at < until):
                known[kind] += 1
        if post.defect is Defect.COUNTS_MISSING:
            return Counts(None, None, None, None, None)
        return Counts(
            like=None if post.defect is Defect.COUNTS_TEXT else int(post.engagement.likes * share),
            repost=int(post.engagement.reposts * share) + known["repost"],
            reply=int(post.engagement.replies * share) + known["reply"],
            quote=int(post.engagement.quotes * share) + known["quote"],
            bookmark=int(post.engagement.bookmarks * share),
        )


class Day:
    """The world in the evening of a day, as a logged-out reader is shown it.

    Attributes:
        number: Which day.
        now: The moment of looking, 23:00 UTC.
        actors: Everybody who has an account by now, whatever its status, by DID.
    """

    def __init__(self, world: World, simulation: Simulation, number: int) -> None:
        self.world = world
        self.number = number
        self.now = evening(number)
        self.actors = {did: actor for did, actor in world.actors.items() if actor.created_at <= self.now}
        self._simulation = simulation
        self._feeds: dict[str, list[FeedItem]] = {}

    @cached_property
    def posts(self) -> dict[str, Post]:
        """Every post that is shown, in its present version, by URI."""
        return {
            post.uri: post
            for did, actor in self.actors.items()
            if actor.is_available(self.now)
            for post in self._simulation.posts_by_author[did]
            if post.exists(self.now)
        }

    def feed(self, did: str) -> list[FeedItem]:
        """Give somebody's whole feed, newest first: their posts, and their reposts of what is still shown."""
        if did not in self._feeds:
            items = []
            if did in self.actors and self.actors[did].is_available(self.now):
                items = [FeedItem(did, post) for post in self._simulation.posts_by_author[did] if post.exists(self.now)]
                for repost in self._simulation.reposts_by_author[did]:
                    subject = self.posts.get(repost.subject.uri)
                    if subject and repost.exists(self.now):
                        items.append(FeedItem(did, subject, repost))
                items.sort(key=lambda item: item.key, reverse=True)
            self._feeds[did] = items
        return self._feeds[did]

    @cached_property
    def likes(self) -> dict[str, list[Like]]:
        """Every like that stands, of somebody who is shown, by the URI of its post, newest first."""
        likes = (like for did in self.actors for like in self.world.ties.likes[did] if like.exists(self.now))
        return self._shown((like.subject.uri, like.created_at, like) for like in likes)

    @cached_property
    def reposts(self) -> dict[str, list[Repost]]:
        """Every repost that stands, of somebody who is shown, by the URI of its post, newest first."""
        reposts = (repost for repost in self.world.reposts if repost.exists(self.now))
        return self._shown((repost.subject.uri, repost.indexed_at, repost) for repost in reposts)

    @cached_property
    def quotes(self) -> dict[str, list[Post]]:
        """Every quote that is shown, by the URI of what it quotes, newest first."""
        return self._shown(
            (post.embed.quoted.uri, post.indexed_at, post)
            for post in self.posts.values()
            if post.embed and post.embed.quoted
        )

    @cached_property
    def replies(self) -> dict[str, list[Post]]:
        """Every reply that is shown, by the URI of what it answers, newest first."""
        return self._shown(
            (post.reply.parent.uri, post.indexed_at, post)
            for post in self.posts.values()
            if post.reply and post.defect is not Defect.REPLY_TEXT
        )

    def _shown(self, records: Iterable[tuple[str, datetime, T]]) -> dict[str, list[T]]:
        found: defaultdict[str, list[T]] = defaultdict(list)
        for uri, _, record in sorted(records, key=lambda each: (each[1], each[2].cid), reverse=True):
            if record.author in self.actors and self.actors[record.author].is_available(self.now):
                found[uri].append(record)
        return found

    def counts(self, post: Post) -> Counts:
        """Count a post's engagement by now."""
        return self.world.counts(post, self.now)

    def memberships(self, members: MemberList) -> list[ListItem]:
        """Give the list's memberships by now, newest first, those of people who are not shown too."""
        existing = [item for item in members.items if item.exists(self.now)]
        return sorted(existing, key=lambda item: (item.added_at, item.cid), reverse=True)

    def listed(self, members: MemberList) -> list[ListItem]:
        """Give the memberships that are shown: of available people, in no block relation with the list's creator."""
        return [
            item
            for item in self.memberships(members)
            if item.subject in self.actors
            and self.actors[item.subject].is_available(self.now)
            and not self.is_blocked(item.subject, members.creator)
            and not self.has_opted_out(item.subject, members)
        ]

    def hidden_because(self, did: str, members: MemberList) -> str | None:
        """Say why somebody is not shown in a list that they are on; None if they are."""
        if did not in self.actors or not self.actors[did].is_available(self.now):
            return "unavailable"
        if self.has_opted_out(did, members):
            return "opted_out"
        if self.blocks(did, members.creator):
            return "blocks_creator"
        return "blocked_by_creator" if self.blocks(members.creator, did) else None

    def followed(self, *lists: MemberList) -> list[str]:
        """Give whoever a pull of these lists reads, each once: all but who opted out, or is in a block relation."""
        dids = (
            item.subject
            for members in lists
            for item in self.memberships(members)
            if self.hidden_because(item.subject, members) in {None, "unavailable"}
        )
        return list(dict.fromkeys(dids))

    def has_opted_out(self, did: str, members: MemberList) -> bool:
        """Say whether somebody's opt-out takes them out of a list: services heed it for a list behind a pack only."""
        return members.purpose == "referencelist" and any(
            opt_out.exists(self.now) and (opt_out.author, opt_out.list_uri) == (did, members.uri)
            for opt_out in self.world.opt_outs
        )

    def blocks(self, one: str, other: str) -> bool:
        """Say whether somebody blocks somebody."""
        return any(
            block.created_at <= self.now and (block.author, block.subject) == (one, other)
            for block in self.world.blocks
        )

    def is_blocked(self, one: str, other: str) -> bool:
        """Say whether either of two people blocks the other."""
        return frozenset((one, other)) in self._blocked_pairs

    def find(self, identifier: str) -> Actor | None:
        """Find somebody by DID or by the handle they have now."""
        if identifier.startswith("did:"):
            return self.actors.get(identifier)
        return self._by_handle.get(identifier.lower())

    def records(self, did: str, collection: str) -> list[Stored]:
        """Give what stands in a collection of somebody's repository, by record key."""
        return records(self._simulation, did, collection, self.now)

    def repository(self, did: str) -> list[Stored]:
        """Give all that stands in somebody's repository."""
        return repository(self._simulation, did, self.now)

    def rev(self, did: str) -> str | None:
        """Give the revision of somebody's repository: the TID of what last happened to it."""
        return self._revs.get(did)

    def posts_count(self, actor: Actor) -> int:
        """Count somebody's posts by now, replies included, reposts not."""
        return sum(post.exists(self.now) for post in self._simulation.posts_by_author[actor.did])

    def followers_count(self, actor: Actor) -> int:
        """Count somebody's followers by now."""
        days = (self.now - max(actor.created_at, evening(0))).days
        return max(0, actor.followers + int(actor.followers_per_day * days))

    def joined_all_time_count(self, pack: StarterPack) -> int:
        """Count who ever joined through a pack, by now."""
        return pack.joined_all_time + self.number // 7 * pack.joined_week

    def follows_count(self, actor: Actor) -> int:
        """Count whom somebody follows by now: one more every nine days."""
        return actor.follows + self.number // 9

    @cached_property
    def _by_handle(self) -> dict[str, Actor]:
        return {
            handle: actor for actor in self.actors.values() if (handle := actor.handle(self.now)) != "handle.invalid"
        }

    @cached_property
    def _revs(self) -> dict[str, str]:
        return {event.did: event.rev for event in self.world.events(datetime.min.replace(tzinfo=UTC), self.now)}

    @cached_property
    def _blocked_pairs(self) -> frozenset[frozenset[str]]:
        return frozenset(
            frozenset((block.author, block.subject)) for block in self.world.blocks if block.created_at <= self.now
        )
