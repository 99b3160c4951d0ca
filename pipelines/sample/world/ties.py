"""Whom the people of the sample world follow, and what they like: some of it is taken back, and some made again.

All chance is of its own dice, so that nothing else in the world depends on it.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from pipelines.sample.world.blocks import UNNAMED, named
from pipelines.sample.world.days import evening
from pipelines.sample.world.dice import Dice
from pipelines.sample.world.ids import tid
from pipelines.sample.world.truth import ACTIVE, FOLLOW, LIKE, Follow, Like, StrongRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from pipelines.sample.world.truth import Actor, Post

LIKES_FROM: Final = -10
"""The slot in which people begin to like."""

_FOLLOWS_UNTIL: Final = 14
"""The last slot in which somebody who is there from the start follows somebody."""


class Ties:
    """Follows and likes.

    Args:
        seed: The world's.

    Attributes:
        follows: Every follow that ever was, by the follower's DID.
        likes: Every like that ever was, by the DID of whoever likes.
    """

    def __init__(self, seed: int) -> None:
        self.follows: defaultdict[str, list[Follow]] = defaultdict(list)
        self.likes: defaultdict[str, list[Like]] = defaultdict(list)
        self._seed = seed

    def follow(self, actor: Actor, subject: Actor, at: datetime, until: datetime | None = None) -> None:
        """Let somebody follow somebody, for good or until they undo it."""
        follows = self.follows[actor.did]
        rkey = tid(at, len(follows))
        uri = f"at://{actor.did}/{FOLLOW}/{rkey}"
        follows.append(named(Follow(uri, UNNAMED, rkey, actor.did, at, until, subject.did)))

    def like(self, actor: Actor, post: Post, at: datetime, until: datetime | None = None) -> None:
        """Let somebody like a post, for good or until they take it back."""
        likes = self.likes[actor.did]
        rkey = tid(at, len(likes))
        uri = f"at://{actor.did}/{LIKE}/{rkey}"
        subject = StrongRef(post.uri, post.cid)
        likes.append(named(Like(uri, UNNAMED, rkey, actor.did, at, until, subject)))

    def find_people(self, actor: Actor, others: Sequence[Actor], friends: Iterable[str]) -> None:
        """Let somebody follow their friends and some others, undo some of it, and follow some of those again."""
        dice, friends = Dice(self._seed, "follows", actor.name), frozenset(friends)
        for subject in others:
            if subject is actor or not dice.chance(0.8 if subject.did in friends else 0.2):
                continue
            slot = dice.between(1, _FOLLOWS_UNTIL) if dice.chance(0.2) else dice.between(-150, 0)
            at = max(evening(slot), actor.created_at, subject.created_at) + timedelta(seconds=dice.between(1, 80_000))
            until = max(at, evening(0)) + timedelta(seconds=dice.between(600, 8 * 86_400))
            again = until + timedelta(seconds=dice.between(60, 3 * 86_400))
            is_undone, is_made_again = dice.chance(0.15), dice.chance(0.4)
            if not actor.is_available(at):
                continue
            self.follow(actor, subject, at, until if is_undone and actor.status(until) == ACTIVE else None)
            if is_undone and is_made_again and actor.status(until) == actor.status(again) == ACTIVE:
                self.follow(actor, subject, again)

    def look_around(self, actor: Actor, slot: int, seen: Sequence[Post]) -> None:
        """Let somebody like some of what they see in a slot, and think better of some of it."""
        if slot < LIKES_FROM or not seen:
            return
        dice, start = Dice(self._seed, "likes", slot, actor.name), evening(slot - 1)
        liked = {like.subject.uri for like in self.likes[actor.did]}
        for _ in range(dice.poisson(1.0)):
            post, at = dice.pick(seen), start + timedelta(seconds=dice.between(1, 86_000))
            is_there = post.exists(at) and actor.is_available(at) and post.defect is None
            if post.author == actor.did or post.uri in liked or not is_there:
                continue
            liked.add(post.uri)
            until = at + timedelta(seconds=dice.between(60, 6 * 86_400))
            is_taken_back = dice.chance(0.15) and actor.status(until) == ACTIVE
            self.like(actor, post, at, until if is_taken_back else None)
