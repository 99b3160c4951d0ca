"""A member's feed under a test's control, served over HTTP as an AppView serves one."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipelines.lake.tables import AUTHOR_FEED
from pipelines.network.appview import AppView
from pipelines.network.pacing import Pacer
from pipelines.sources.feed_walk import FeedWalk, MemberState, WalkRules
from pipelines.sources.rows import arrow_table, microseconds
from tests.network.scripted_server import Reply, error_reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.network.scripted_server import Asked, ScriptedServer

Json = dict[str, Any]

MEMBER = "did:plc:membermembermembermember"
STRANGER = "did:plc:strangerstrangerstranger"
NOW = datetime(2026, 3, 2, 23, tzinfo=UTC)


def text_of(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Item:
    """An item of the feed.

    Attributes:
        name: Record key; also what tests call it.
        created_at: What the record says; the feed is ordered by the earlier of the two times.
        indexed_at: When the service indexed it.
        is_repost: A repost of a stranger's post; the time that its record claims is not served.
        is_pin: Shown on top of the feed, as a service does that is asked for pins.
    """

    name: str
    created_at: datetime
    indexed_at: datetime
    likes: int = 0
    is_repost: bool = False
    is_pin: bool = False

    @property
    def uri(self) -> str:
        collection = "app.bsky.feed.repost" if self.is_repost else "app.bsky.feed.post"
        return f"at://{MEMBER}/{collection}/{self.name}"

    @property
    def sort_key(self) -> tuple[bool, int, str]:
        return self.is_pin, microseconds(min(self.created_at, self.indexed_at)) // 1000, self.name

    @property
    def item_at(self) -> datetime:
        return self.indexed_at if self.is_repost else min(self.created_at, self.indexed_at)

    def view(self) -> Json:
        author = STRANGER if self.is_repost else MEMBER
        uri = f"at://{STRANGER}/app.bsky.feed.post/{self.name}" if self.is_repost else self.uri
        written_at = datetime(2024, 1, 1, tzinfo=UTC) if self.is_repost else self.created_at
        view: Json = {
            "post": {
                "uri": uri,
                "cid": f"bafy{self.name}",
                "author": {"did": author, "handle": "somebody.test"},
                "record": {"$type": "app.bsky.feed.post", "text": self.name, "createdAt": text_of(written_at)},
                "indexedAt": text_of(written_at if self.is_repost else self.indexed_at),
                "likeCount": self.likes,
            }
        }
        if self.is_repost:
            view["reason"] = {
                "$type": "app.bsky.feed.defs#reasonRepost",
                "uri": self.uri,
                "indexedAt": text_of(self.indexed_at),
            }
        if self.is_pin:
            view["reason"] = {"$type": "app.bsky.feed.defs#reasonPin"}
        return view


def post(name: str, days_old: float, *, indexed_days_ago: float | None = None, likes: int = 0) -> Item:
    created_at = NOW - timedelta(days=days_old)
    indexed_at = created_at if indexed_days_ago is None else NOW - timedelta(days=indexed_days_ago)
    return Item(name, created_at, indexed_at, likes)


def daily_posts(count: int, *, from_days_old: float = 0) -> list[Item]:
    """Give one post a day, `p000` the newest."""
    return [post(f"p{number:03}", from_days_old + number) for number in range(count)]


@dataclass
class MemberFeed:
    """The feed of one member; also counts the posts, as a profile does.

    Attributes:
        page_size: How many items the service puts on a page, whatever the client asks for.
        odd: Changes a page on its way out: given the cursor that was asked for, and the page.
        profile_error: What getProfile says instead of showing the profile.
    """

    server: ScriptedServer
    items: list[Item]
    page_size: int = 100
    odd: Callable[[str | None, Json], Json | Reply] = lambda cursor, page: page
    profile_error: tuple[str, str] | None = None
    cursors: list[str | None] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.server.answer = self.answer
        self.appview = AppView(self.server.url, Pacer(10_000), backoff=0.001)

    def answer(self, asked: Asked) -> Reply:
        if asked.nsid == "app.bsky.actor.getProfile":
            return error_reply(400, *self.profile_error) if self.profile_error else json_reply({"did": MEMBER})
        cursor = asked.params.get("cursor", [None])[0]
        self.cursors.append(cursor)
        items = sorted(self.items, key=lambda item: item.sort_key, reverse=True)
        if cursor is not None:
            pinned, milliseconds, name = cursor.split("_")
            key = (pinned == "pin", int(milliseconds), name)
            items = [item for item in items if item.sort_key < key]
        page: Json = {"feed": [item.view() for item in items[: self.page_size]]}
        if len(items) > self.page_size:
            is_pin, at, last = items[self.page_size - 1].sort_key
            page["cursor"] = f"{'pin' if is_pin else 'at'}_{at}_{last}"
        reply = self.odd(cursor, page)
        return reply if isinstance(reply, Reply) else json_reply(reply)

    def walk(
        self, state: MemberState | None = None, now: datetime = NOW, posts_count: int | None = None, **rules: Any
    ) -> Walked:
        """Walk through the feed; `rules` replace those that are usual, and `posts_count` what is true."""
        usual: dict[str, Any] = {
            "refresh": timedelta(days=7),
            "backfill": None,
            "sweep_every": timedelta(days=28),
            "is_full": False,
        }
        if posts_count is None:
            posts_count = sum(not item.is_repost and not item.is_pin for item in self.items)
        walk = FeedWalk(self.appview, MEMBER, state, WalkRules(**usual | rules), now, posts_count)
        self.cursors.clear()
        rows = [row for page in walk.pages() for row in arrow_table(AUTHOR_FEED, page).to_pylist()]
        return Walked(walk, rows, list(self.cursors))


@dataclass
class Walked:
    """What a walk brought.

    Attributes:
        cursors: Those that it asked for, None for the first page.
    """

    walk: FeedWalk
    rows: list[Json]
    cursors: list[str | None]

    @property
    def state(self) -> MemberState:
        assert self.walk.next_state is not None
        return self.walk.next_state

    @property
    def names(self) -> list[str]:
        return [row["item_uri"].rpartition("/")[2] for row in self.rows]

    @property
    def pull(self) -> Json:
        return self.walk.pull_row()
