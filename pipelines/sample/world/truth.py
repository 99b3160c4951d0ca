"""What is true in the sample world, as plain objects: what a test computes its expectations from.

Times are UTC. A value that a record breaks on purpose (see `Defect`) is None here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from pipelines.sample.world.ids import microseconds

ACTIVE: Final = "active"
DEACTIVATED: Final = "deactivated"
SUSPENDED: Final = "suspended"
DELETED: Final = "deleted"

POST: Final = "app.bsky.feed.post"
REPOST: Final = "app.bsky.feed.repost"
LIKE: Final = "app.bsky.feed.like"
FOLLOW: Final = "app.bsky.graph.follow"
PROFILE: Final = "app.bsky.actor.profile"
PROFILE_LINK: Final = "app.bsky.actor.link"
LIST: Final = "app.bsky.graph.list"
LIST_ITEM: Final = "app.bsky.graph.listitem"
STARTER_PACK: Final = "app.bsky.graph.starterpack"
BLOCK: Final = "app.bsky.graph.block"
OPT_OUT: Final = "app.bsky.graph.referencelistoptout"

IMAGES: Final = "app.bsky.embed.images"
GALLERY: Final = "app.bsky.embed.gallery"
VIDEO: Final = "app.bsky.embed.video"
EXTERNAL: Final = "app.bsky.embed.external"
RECORD: Final = "app.bsky.embed.record"
RECORD_WITH_MEDIA: Final = "app.bsky.embed.recordWithMedia"


class Defect(StrEnum):
    """A way in which a record, or its view, breaks the lexicon on purpose."""

    TEXT_MISSING = "text missing"
    TEXT_NUMBER = "text is a number"
    CREATED_AT_MISSING = "createdAt missing"
    CREATED_AT_WORDS = "createdAt is no date"
    CREATED_AT_NUMBER = "createdAt is a number"
    LANGS_NUMBERS = "langs holds numbers"
    LANGS_STRING = "langs is a string"
    TAGS_OBJECT = "tags is an object"
    FACETS_TEXT = "facets is a string"
    REPLY_TEXT = "reply is a string"
    COUNTS_MISSING = "no counts"
    COUNTS_TEXT = "likeCount is a string"
    ALT_MISSING = "a picture without alt"
    EMBED_LIST = "embed is a list"


@dataclass(frozen=True, slots=True)
class StrongRef:
    """A record in one version."""

    uri: str
    cid: str


@dataclass(frozen=True, slots=True)
class Facet:
    """A feature of a text: `mention` (value: DID), `link` (URI), `tag` (without #), or another's full type (None).

    Offsets count UTF-8 bytes.
    """

    feature: str
    value: str | None
    byte_start: int
    byte_end: int


@dataclass(frozen=True, slots=True)
class Media:
    """A picture or a video (`kind`: image, video). `alt` is None where the record has none."""

    kind: str
    alt: str | None
    blob_cid: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Card:
    """A link card."""

    uri: str
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Embed:
    """What a post carries: its full type, and whichever of media, card and quoted record that type has.

    A quote that the quoted author took out of their post's company is detached from `detached_at` on.
    """

    type: str
    media: tuple[Media, ...] = ()
    card: Card | None = None
    quoted: StrongRef | None = None
    detached_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a post answers."""

    root: StrongRef
    parent: StrongRef


@dataclass(frozen=True, slots=True)
class Counts:
    """Engagement at one moment. None where the service does not say, or says it wrongly."""

    like: int | None
    repost: int | None
    reply: int | None
    quote: int | None
    bookmark: int | None


@dataclass(frozen=True, slots=True)
class Engagement:
    """How the world around the members takes a post: what it ends at, and how many hours it takes to get half way."""

    since: datetime
    half_life_hours: float
    likes: int
    reposts: int
    replies: int
    quotes: int
    bookmarks: int

    def share(self, at: datetime) -> float:
        """Say which share of the final counts is reached."""
        hours = (at - self.since) / timedelta(hours=1)
        return 0.0 if hours <= 0 else 1.0 - 0.5 ** (hours / self.half_life_hours)


@dataclass(frozen=True, slots=True)
class Post:
    """A post in one version. An edit makes another one, with the same URI, a new CID and a later `indexed_at`.

    Attributes:
        created_at: When the author's client says it was written; None when that is no date.
        created_at_text: The same, as it stands in the record; None when it is missing or no text.
        indexed_at: When the service indexed this version.
        replaced_at: When an edit took its place.
        deleted_at: When its author deleted it.
        extra: Fields of the record that no lexicon knows.
        labels: Values of the labels that a labeler put on it.
    """

    uri: str
    cid: str
    rkey: str
    author: str
    text: str | None
    langs: tuple[str, ...] | None
    facets: tuple[Facet, ...] | None
    tags: tuple[str, ...] | None
    embed: Embed | None
    reply: Reply | None
    created_at: datetime | None
    created_at_text: str | None
    indexed_at: datetime
    deleted_at: datetime | None
    replaced_at: datetime | None
    self_labels: tuple[str, ...]
    labels: tuple[str, ...]
    engagement: Engagement
    defect: Defect | None = None
    extra: tuple[tuple[str, str], ...] = ()

    @property
    def ended_at(self) -> datetime | None:
        """When this version was there no more: replaced or deleted."""
        return self.replaced_at or self.deleted_at

    @property
    def item_at(self) -> datetime:
        """The time a feed is ordered by."""
        return self.indexed_at if self.created_at is None else min(self.created_at, self.indexed_at)

    def exists(self, at: datetime) -> bool:
        """Say whether this version is in its author's repository and indexed."""
        return self.indexed_at <= at and (self.ended_at is None or at < self.ended_at)


@dataclass(frozen=True, slots=True)
class Repost:
    """A repost of `subject`, which may be the reposter's own post."""

    uri: str
    cid: str
    rkey: str
    author: str
    subject: StrongRef
    created_at: datetime
    indexed_at: datetime
    deleted_at: datetime | None

    def exists(self, at: datetime) -> bool:
        """Say whether the repost is in its author's repository and indexed."""
        return self.indexed_at <= at and (self.deleted_at is None or at < self.deleted_at)


@dataclass(frozen=True, slots=True)
class FeedItem:
    """An item of a member's feed at one moment: a post of their own, or a repost of anybody's."""

    member: str
    post: Post
    repost: Repost | None = None
    key: tuple[int, str] = field(init=False)

    def __post_init__(self) -> None:
        """Work out its place: the feed is sorted by milliseconds, then CID, both descending."""
        key = (microseconds(self.item_at) // 1000, self.repost.cid if self.repost else self.post.cid)
        object.__setattr__(self, "key", key)

    @property
    def uri(self) -> str:
        """The item's own URI: the repost's, else the post's."""
        return self.repost.uri if self.repost else self.post.uri

    @property
    def item_at(self) -> datetime:
        """The time a feed is ordered by: when the repost was indexed, else the earlier of the post's two times."""
        return self.repost.indexed_at if self.repost else self.post.item_at


@dataclass(frozen=True, slots=True)
class ProfileLink:
    """A link on a profile; `ref` is the record that holds it, which no repository of the world has."""

    ref: StrongRef
    url: str
    title: str | None
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile record in one version, valid from `since` until the next."""

    since: datetime
    cid: str
    display_name: str
    description: str
    avatar_cid: str | None
    labels: tuple[str, ...] = ()
    pinned: StrongRef | None = None
    links: tuple[ProfileLink, ...] = ()


@dataclass(slots=True)
class Actor:
    """Somebody. Handles, statuses and profiles are told as (since when, what), in order.

    Attributes:
        name: A short name that the world's script knows them by.
        posts_per_day: What they write on an average weekday, reposts included.
        quiet_from: When they fell silent; None if they did not.
        writes_from: When they began to write.
        followers: Followers on the morning of day 1; followers_per_day is what a day adds.
    """

    did: str
    name: str
    created_at: datetime
    handles: list[tuple[datetime, str]]
    statuses: list[tuple[datetime, str]]
    profiles: list[Profile]
    langs: tuple[str, ...]
    topics: tuple[str, ...]
    utc_offset_hours: int
    posts_per_day: float
    writes_from: datetime
    quiet_from: datetime | None
    followers: int
    followers_per_day: float
    follows: int
    joined_via_pack: str | None = None

    def handle(self, at: datetime) -> str:
        """Give the handle at that moment."""
        return _latest(self.handles, at)

    def status(self, at: datetime) -> str:
        """Say whether the account is active, deactivated, suspended or deleted at that moment."""
        return _latest(self.statuses, at)

    def is_available(self, at: datetime) -> bool:
        """Say whether the service shows the account at all."""
        return self.created_at <= at and self.status(at) == ACTIVE

    def profile(self, at: datetime) -> Profile | None:
        """Give the profile record at that moment; None for somebody who never wrote one."""
        found = None
        for version in self.profiles:
            if version.since <= at:
                found = version
        return found


@dataclass(frozen=True, slots=True)
class ListItem:
    """A membership: a record in the repository of the list's creator, there from `added_at` until `removed_at`."""

    uri: str
    cid: str
    rkey: str
    list_uri: str
    subject: str
    added_at: datetime
    removed_at: datetime | None

    def exists(self, at: datetime) -> bool:
        """Say whether the membership holds at that moment."""
        return self.added_at <= at and (self.removed_at is None or at < self.removed_at)


@dataclass(slots=True)
class MemberList:
    """A list, with every membership it ever had. Purpose: `referencelist` behind a pack, else `curatelist`."""

    uri: str
    cid: str
    rkey: str
    creator: str
    purpose: str
    name: str
    description: str
    created_at: datetime
    items: list[ListItem]


@dataclass(frozen=True, slots=True)
class StarterPack:
    """A starter pack; `short_code` is its code at go.bsky.app."""

    uri: str
    cid: str
    rkey: str
    creator: str
    name: str
    description: str
    created_at: datetime
    list: MemberList
    short_code: str
    joined_week: int
    joined_all_time: int


@dataclass(frozen=True, slots=True)
class Block:
    """Somebody blocks somebody, from `created_at` on."""

    uri: str
    cid: str
    rkey: str
    author: str
    subject: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Tie:
    """What somebody takes back by deleting the record: it is in their repository from `created_at` to `undone_at`."""

    uri: str
    cid: str
    rkey: str
    author: str
    created_at: datetime
    undone_at: datetime | None

    def exists(self, at: datetime) -> bool:
        """Say whether it holds at that moment."""
        return self.created_at <= at and (self.undone_at is None or at < self.undone_at)


@dataclass(frozen=True, slots=True)
class OptOut(Tie):
    """Somebody opts out of a list."""

    list_uri: str


@dataclass(frozen=True, slots=True)
class Follow(Tie):
    """Somebody follows somebody."""

    subject: str


@dataclass(frozen=True, slots=True)
class Like(Tie):
    """Somebody likes a post."""

    subject: StrongRef


Record = Post | Repost | Follow | Like | ListItem | MemberList | StarterPack | Block | OptOut | Profile


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """A commit of one record. `record` is the record in that version; None for a delete, and so is `cid`."""

    at: datetime
    did: str
    rev: str
    operation: str
    collection: str
    rkey: str
    cid: str | None
    record: Record | None


@dataclass(frozen=True, slots=True)
class IdentityEvent:
    """Somebody has a new handle."""

    at: datetime
    did: str
    rev: str
    handle: str


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """Somebody's account changed its status: `active`, `deactivated`, `suspended` or `deleted`."""

    at: datetime
    did: str
    rev: str
    status: str


Event = RecordEvent | IdentityEvent | AccountEvent


def _latest(history: list[tuple[datetime, str]], at: datetime) -> str:
    found = history[0][1]
    for since, value in history:
        if since <= at:
            found = value
    return found
