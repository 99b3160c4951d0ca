"""A world of any size, for benchmarks: feeds of the usual mix that are made page by page and kept nowhere.

Its items are the small world's, again and again, under other URIs, times and counts.
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final

from pipelines.sample.appview.views import Views
from pipelines.sample.world.days import evening, timestamp
from pipelines.sample.world.ids import cid, did, microseconds, tid_of
from pipelines.sample.world.repositories import Stored
from pipelines.sample.world.ties import Ties
from pipelines.sample.world.truth import (
    ACTIVE,
    LIST,
    LIST_ITEM,
    STARTER_PACK,
    Actor,
    ListItem,
    MemberList,
    Post,
    Profile,
    StarterPack,
)
from pipelines.sample.world.world import Day, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pipelines.sample.world.truth import Event, FeedItem

_TEMPLATES: Final = 64
_DAY_MS: Final = 86_400_000


class BulkWorld(World):
    """One pack of any number of members, each with any number of items, all available and none ever deleted.

    There are no objects for single posts here, and no events.

    Attributes:
        members: How many are in the pack.
        posts_per_member: How many items each feed has on day 1.
        posts_per_day: How many each feed gains a day; also how densely the past is filled.
        has_silent: Whether two in three members have been silent on day 1, for from one day to 120, and stay so.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        members: int = 200,
        posts_per_member: int = 5000,
        posts_per_day: int = 5,
        has_silent: bool = False,
    ) -> None:
        self.seed = seed
        self.members = members
        self.posts_per_member = posts_per_member
        self.posts_per_day = posts_per_day
        self.has_silent = has_silent
        self.labeler = did(f"{seed}/moderation")
        self.posts = []
        self.reposts = []
        self.ties = Ties(seed)
        self.blocks = []
        self.opt_outs = []
        self.lists = ()
        since = evening(-2000)
        self.actors = {}
        for number in range(members):
            actor = self._member(number)
            self.actors[actor.did] = actor
        creator = next(iter(self.actors))
        rkey = tid_of(microseconds(since))
        pack_list = MemberList(
            f"at://{creator}/{LIST}/{rkey}", cid(f"{seed}/list"), rkey, creator, "referencelist", "Bulk", "", since, []
        )
        pack_list.items.extend(
            self._membership(pack_list, actor, number) for number, actor in enumerate(self.actors.values())
        )
        self.packs = (
            StarterPack(
                uri=f"at://{creator}/{STARTER_PACK}/{rkey}",
                cid=cid(f"{seed}/pack"),
                rkey=rkey,
                creator=creator,
                name="Bulk",
                description="A pack for benchmarks.",
                created_at=since,
                list=pack_list,
                short_code="BULK001",
                joined_week=0,
                joined_all_time=0,
            ),
        )

    def on(self, day: int) -> BulkDay:
        """Look at the world in the evening of a day."""
        return BulkDay(self, day)

    def events(self, since: datetime, until: datetime) -> Iterator[Event]:
        """Tell nothing."""
        return iter(())

    def silent_days(self, number: int) -> int:
        """Tell for how many days a member has been silent on day 1; 0 of those who write."""
        return 1 + number % 120 if self.has_silent and number % 3 else 0

    def _member(self, number: int) -> Actor:
        since = evening(-2500)
        name = f"member-{number:05d}"
        return Actor(
            did=did(f"{self.seed}/{name}"),
            name=name,
            created_at=since,
            handles=[(since, f"{name}.bsky.test")],
            statuses=[(since, ACTIVE)],
            profiles=[Profile(since, cid(f"{self.seed}/{name}"), f"Member {number}", "One of many.", None)],
            langs=("en",),
            topics=(),
            utc_offset_hours=0,
            posts_per_day=self.posts_per_day,
            writes_from=since,
            quiet_from=None,
            followers=number * 10,
            followers_per_day=1.0,
            follows=100,
        )

    def _membership(self, members: MemberList, actor: Actor, number: int) -> ListItem:
        at = members.created_at + timedelta(seconds=number)
        rkey = tid_of(microseconds(at))
        uri = f"at://{members.creator}/{LIST_ITEM}/{rkey}"
        return ListItem(uri, cid(uri), rkey, members.uri, actor.did, at, None)


class BulkDay(Day):
    """An evening of a bulk world."""

    world: BulkWorld

    def __init__(self, world: BulkWorld, number: int) -> None:
        self.world = world
        self.number = number
        self.now = evening(number)
        self.actors = world.actors

    def item_count(self, number: int) -> int:
        """Tell how many items a member's feed has by now."""
        days = 0 if self.world.silent_days(number) else self.number - 1
        return self.world.posts_per_member + days * self.world.posts_per_day

    def posts_count(self, actor: Actor) -> int:
        """Count somebody's posts, not the reposts."""
        number = int(actor.name.removeprefix("member-"))
        rounds, rest = divmod(self.item_count(number), _TEMPLATES)
        are_posts = [b"#reasonRepost" not in template for template in _templates(self.world.seed)]
        return rounds * sum(are_posts) + sum(are_posts[(number + index) % _TEMPLATES] for index in range(rest))

    def rev(self, did: str) -> str | None:
        """Give a revision that changes every day."""
        return tid_of(microseconds(self.now))

    def records(self, did: str, collection: str) -> list[Stored]:
        """Give the memberships in the creator's repository; nothing else stands in any."""
        pack = self.world.packs[0]
        if (did, collection) != (pack.creator, LIST_ITEM):
            return []
        return [Stored(LIST_ITEM, item.rkey, item.cid, item, item.added_at, None) for item in pack.list.items]

    @cached_property
    def posts(self) -> dict[str, Post]:
        """Nothing: the items of a bulk world have no objects."""
        return {}


class BulkViews(Views):
    """The feeds of a bulk world."""

    def __init__(self, day: BulkDay) -> None:
        super().__init__(day)
        self._bulk = day
        self._numbers = {did: number for number, did in enumerate(day.world.actors)}
        self._templates = _templates(day.world.seed)

    def author_feed(
        self, actor: Actor, limit: int, after: tuple[int, str] | None, *, include_pins: bool = False
    ) -> bytes:
        """Make a page of a feed; nothing is pinned here."""
        step = _DAY_MS // self._bulk.world.posts_per_day
        number = self._numbers[actor.did]
        # The last item of day 1 is a minute old, and a little older for each member, so that few times are equal.
        newest = self._bulk.item_count(number) - 1
        newest_ms = microseconds(evening(1)) // 1000 - 60_000 - number - self._bulk.world.silent_days(number) * _DAY_MS
        oldest_ms = newest_ms - (self._bulk.world.posts_per_member - 1) * step
        if after is not None:
            newest = min(newest, -((oldest_ms - after[0]) // step) - 1)
        last = max(-1, newest - limit)
        values = {
            b"did": actor.did.encode(),
            b"handle": actor.handle(self.day.now).encode(),
            b"name": f"Member {number}".encode(),
        }
        now_ms = microseconds(self.day.now) // 1000
        items: list[bytes] = []
        rkey, at_ms = "", 0
        for index in range(newest, last, -1):
            at_ms = oldest_ms + index * step
            rkey = tid_of(at_ms * 1000 + number)
            hours = (now_ms - at_ms) // 3_600_000
            values[b"rkey"] = rkey.encode()
            values[b"cid"] = _cid(rkey).encode()
            values[b"at"] = _clock(at_ms).encode()
            values[b"likes"] = b"%d" % (index * 7919 % 97 * hours // (hours + 12))
            items.append(self._templates[(index + number) % _TEMPLATES] % values)
        cursor = f',"cursor":"{at_ms}__{_cid(rkey)}"' if last >= 0 else ""
        return b'{"feed":[' + b",".join(items) + b"]" + cursor.encode() + b"}"


@cache
def _templates(seed: int) -> list[bytes]:
    """Make templates of the small world's items, for bytes formatting."""
    day = World(seed).on(1)
    views = Views(day)
    found: list[bytes] = []
    for actor in day.actors.values():
        # Two of each would be enough to have every kind; more would make a world of a few busy people.
        sound = [item for item in day.feed(actor.did) if item.post.defect is None and item.post.item_at.year >= 2025]
        found.extend(_template(views, item) for item in sound[:2])
    return found[:_TEMPLATES]


def _template(views: Views, item: FeedItem) -> bytes:
    author = views.day.actors[item.member]
    text = bytes(views.feed_item(item)).replace(b"%", b"%%")
    own_uri = item.uri.encode()
    collection = item.uri.split("/")[3]
    replacements = {
        own_uri: b"at://%%(did)b/%b/%%(rkey)b" % collection.encode(),
        (item.repost or item.post).cid.encode(): b"%(cid)b",
        bytes(views.author(author)).replace(
            b"%", b"%%"
        ): b'{"did":"%(did)b","handle":"%(handle)b","displayName":"%(name)b","labels":[]}',
        f'"indexedAt":"{timestamp((item.repost or item.post).indexed_at)}"'.encode(): b'"indexedAt":"%(at)b"',
        f'"createdAt":"{item.post.created_at_text}"'.encode(): b'"createdAt":"%(at)b"',
        f'"likeCount":{views.day.counts(item.post).like}'.encode(): b'"likeCount":%(likes)b',
    }
    if item.repost:
        # Somebody else's post stays what it is.
        del replacements[f'"createdAt":"{item.post.created_at_text}"'.encode()]
    for old, new in replacements.items():
        text = text.replace(old, new)
    return text


def _cid(rkey: str) -> str:
    # The header of a dag-cbor CID, then anything in the same alphabet.
    return "bafyreia" + (rkey * 4)[:51]


def _clock(milliseconds: int) -> str:
    return timestamp(evening(1) + timedelta(milliseconds=milliseconds - _EVENING_ONE_MS))


_EVENING_ONE_MS: Final = microseconds(evening(1)) // 1000
