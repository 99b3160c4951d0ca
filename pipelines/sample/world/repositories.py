"""The repositories of the sample world: what stands in them at a moment, and what happened to them, one by one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from pipelines.sample.world.ids import tid
from pipelines.sample.world.truth import (
    BLOCK,
    FOLLOW,
    LIKE,
    LIST,
    LIST_ITEM,
    OPT_OUT,
    POST,
    PROFILE,
    REPOST,
    STARTER_PACK,
    AccountEvent,
    Event,
    IdentityEvent,
    Record,
    RecordEvent,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pipelines.sample.world.simulation import Simulation

_SELF: Final = "self"


class Stored(NamedTuple):
    """A record in a repository, from when to when it is there in this version, and whether another one follows."""

    collection: str
    rkey: str
    cid: str
    record: Record
    since: datetime
    until: datetime | None
    is_replaced: bool = False
    is_update: bool = False


def stored(simulation: Simulation, did: str) -> Iterator[Stored]:
    """Give every version of every record that a repository ever held."""
    actor = simulation.actors[did]
    for number, profile in enumerate(actor.profiles):
        newer = actor.profiles[number + 1].since if number + 1 < len(actor.profiles) else None
        yield Stored(PROFILE, _SELF, profile.cid, profile, profile.since, newer, newer is not None, number > 0)
    for pack in simulation.packs:
        if pack.creator == did:
            yield Stored(STARTER_PACK, pack.rkey, pack.cid, pack, pack.created_at, None)
    for members in (*(pack.list for pack in simulation.packs), *simulation.lists):
        if members.creator == did:
            yield Stored(LIST, members.rkey, members.cid, members, members.created_at, None)
            for item in members.items:
                yield Stored(LIST_ITEM, item.rkey, item.cid, item, item.added_at, item.removed_at)
    for block in simulation.blocks:
        if block.author == did:
            yield Stored(BLOCK, block.rkey, block.cid, block, block.created_at, None)
    for opt_out in simulation.opt_outs:
        if opt_out.author == did:
            yield Stored(OPT_OUT, opt_out.rkey, opt_out.cid, opt_out, opt_out.created_at, opt_out.undone_at)
    for post in simulation.posts_by_author[did]:
        is_update = simulation.versions[post.uri][0] is not post
        is_replaced = post.replaced_at is not None
        yield Stored(POST, post.rkey, post.cid, post, post.indexed_at, post.ended_at, is_replaced, is_update)
    for repost in simulation.reposts_by_author[did]:
        yield Stored(REPOST, repost.rkey, repost.cid, repost, repost.indexed_at, repost.deleted_at)
    yield from _stored_ties(simulation, did)


def _stored_ties(simulation: Simulation, did: str) -> Iterator[Stored]:
    for follow in simulation.ties.follows[did]:
        yield Stored(FOLLOW, follow.rkey, follow.cid, follow, follow.created_at, follow.undone_at)
    for like in simulation.ties.likes[did]:
        yield Stored(LIKE, like.rkey, like.cid, like, like.created_at, like.undone_at)


def repository(simulation: Simulation, did: str, at: datetime) -> list[Stored]:
    """Give the records of a repository at a moment."""
    return [
        version
        for version in stored(simulation, did)
        if version.since <= at and (version.until is None or at < version.until)
    ]


def records(simulation: Simulation, did: str, collection: str, at: datetime) -> list[Stored]:
    """Give the records of a collection at a moment, by record key."""
    there = (version for version in repository(simulation, did, at) if version.collection == collection)
    return sorted(there, key=lambda version: version.rkey)


def history(simulation: Simulation) -> list[Event]:
    """Tell everything that happened to the repositories and accounts, in order of time."""
    happened: list[tuple[datetime, str, Stored | str, str]] = []
    for did, actor in simulation.actors.items():
        happened.extend((since, did, handle, "identity") for since, handle in actor.handles)
        happened.extend((since, did, status, "account") for since, status in actor.statuses)
        for version in stored(simulation, did):
            happened.append((version.since, did, version, "update" if version.is_update else "create"))
            if version.until is not None and not version.is_replaced:
                happened.append((version.until, did, version, "delete"))
    happened.sort(key=lambda one: one[0])
    events: list[Event] = []
    last_rev_at: dict[str, datetime] = {}
    for at, did, what, kind in happened:
        rev_at = at
        if did in last_rev_at:
            rev_at = max(at, last_rev_at[did] + timedelta(microseconds=1))
        last_rev_at[did] = rev_at
        rev = tid(rev_at)
        if isinstance(what, Stored):
            cid, record = (None, None) if kind == "delete" else (what.cid, what.record)
            events.append(RecordEvent(at, did, rev, kind, what.collection, what.rkey, cid, record))
        elif kind == "identity":
            events.append(IdentityEvent(at, did, rev, what))
        else:
            events.append(AccountEvent(at, did, rev, what))
    return events
