"""Structs for what the AppView serves, with the fields that the raw layer has columns for.

`decode` reads an item's JSON into them in one typed pass. They accept unknown fields and unknown `$type`s, and every
field is optional: the lexicon (https://github.com/bluesky-social/atproto, `lexicons/app/bsky`) says what should be
there, but any software writes records. `decode` leaves a value of a wrong type out, names it, and reads the rest.
"""

from __future__ import annotations

import json
import re
import threading
from datetime import UTC, datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec

LARGEST_COUNT: Final = 2**53 - 1
"""The data model's integers have 53 bits (https://atproto.com/specs/data-model). A larger one may fit a column, and
breaks the first sum over it."""

MOST_ISSUES: Final = 100
"""Values of one item that are read around one by one. Each costs another pass over the item."""

Count = Annotated[int, msgspec.Meta(ge=0, le=LARGEST_COUNT)]
"""A number that is counted."""


class _Lexicon(msgspec.Struct, rename="camel", gc=False):
    pass


class StrongRef(_Lexicon):
    """`com.atproto.repo.strongRef`."""

    uri: str | None = None
    cid: str | None = None


class Label(_Lexicon):
    """`com.atproto.label.defs#label` and `#selfLabel`."""

    val: str | None = None
    src: str | None = None
    uri: str | None = None
    cts: str | None = None
    neg: bool | None = None


class SelfLabels(_Lexicon):
    """`com.atproto.label.defs#selfLabels`."""

    values: list[Label | None] | None = None


class ByteSlice(_Lexicon):
    """`app.bsky.richtext.facet#byteSlice`."""

    byte_start: Count | None = None
    byte_end: Count | None = None


class FacetFeature(_Lexicon):
    """`app.bsky.richtext.facet#mention`, `#link`, `#tag` or an unknown one."""

    type: str | None = msgspec.field(default=None, name="$type")
    did: str | None = None
    uri: str | None = None
    tag: str | None = None


class Facet(_Lexicon):
    """`app.bsky.richtext.facet`."""

    index: ByteSlice | None = None
    features: list[FacetFeature | None] | None = None


class Image(_Lexicon):
    """`app.bsky.embed.images#image`, `app.bsky.embed.gallery#image`."""

    alt: str | None = None


class External(_Lexicon):
    """`app.bsky.embed.external#external`: a link card."""

    uri: str | None = None
    title: str | None = None
    description: str | None = None


class EmbeddedRecord(_Lexicon):
    """The `record` of `app.bsky.embed.record` (a strongRef) or of `recordWithMedia` (which holds one more `record`)."""

    uri: str | None = None
    record: StrongRef | None = None


class Embed(_Lexicon):
    """Any `app.bsky.embed.*` of a post record: it has the fields of all, so that an unknown `$type` is readable."""

    type: str | None = msgspec.field(default=None, name="$type")
    images: list[Image | None] | None = None
    items: list[Image | None] | None = None
    external: External | None = None
    record: EmbeddedRecord | None = None
    media: Embed | None = None
    alt: str | None = None


class ReplyRef(_Lexicon):
    """`app.bsky.feed.post#replyRef`."""

    root: StrongRef | None = None
    parent: StrongRef | None = None


class PostRecord(_Lexicon):
    """`app.bsky.feed.post`."""

    text: str | None = None
    created_at: str | None = None
    langs: list[str | None] | None = None
    tags: list[str | None] | None = None
    facets: list[Facet | None] | None = None
    reply: ReplyRef | None = None
    embed: Embed | None = None
    labels: SelfLabels | None = None


class Actor(_Lexicon):
    """`app.bsky.actor.defs#profileViewBasic`."""

    did: str | None = None
    handle: str | None = None
    display_name: str | None = None
    labels: list[Label | None] | None = None


class PostView(_Lexicon):
    """`app.bsky.feed.defs#postView`."""

    uri: str | None = None
    cid: str | None = None
    author: Actor | None = None
    record: PostRecord | None = None
    indexed_at: str | None = None
    like_count: Count | None = None
    repost_count: Count | None = None
    reply_count: Count | None = None
    quote_count: Count | None = None
    bookmark_count: Count | None = None
    labels: list[Label | None] | None = None


class LikeView(_Lexicon):
    """`app.bsky.feed.getLikes#like`."""

    actor: Actor | None = None
    created_at: str | None = None
    indexed_at: str | None = None


class Reason(_Lexicon):
    """`app.bsky.feed.defs#reasonRepost`, `#reasonPin` or an unknown one."""

    type: str | None = msgspec.field(default=None, name="$type")
    uri: str | None = None
    indexed_at: str | None = None


class FeedViewPost(_Lexicon):
    """`app.bsky.feed.defs#feedViewPost`: an item of a feed."""

    post: PostView | None = None
    reason: Reason | None = None


class JoinedVia(_Lexicon):
    """`app.bsky.graph.defs#starterPackViewBasic`, of which only the URI is read."""

    uri: str | None = None


class ProfileLinkView(_Lexicon):
    """`app.bsky.actor.defs#profileLinkView`."""

    url: str | None = None
    title: str | None = None
    labels: list[Label | None] | None = None


class ProfileViewDetailed(_Lexicon):
    """`app.bsky.actor.defs#profileViewDetailed`."""

    did: str | None = None
    handle: str | None = None
    display_name: str | None = None
    description: str | None = None
    avatar: str | None = None
    links: list[ProfileLinkView | None] | None = None
    followers_count: Count | None = None
    follows_count: Count | None = None
    posts_count: Count | None = None
    pinned_post: StrongRef | None = None
    joined_via_starter_pack: JoinedVia | None = None
    created_at: str | None = None
    indexed_at: str | None = None
    labels: list[Label | None] | None = None


class ListItemView(_Lexicon):
    """`app.bsky.graph.defs#listItemView`."""

    uri: str | None = None
    subject: Actor | None = None


class ListItemRecord(_Lexicon):
    """`app.bsky.graph.listitem`."""

    list_uri: str | None = msgspec.field(default=None, name="list")
    subject: str | None = None


class RepoListItem(_Lexicon):
    """A listitem record as `com.atproto.repo.listRecords` serves it."""

    uri: str | None = None
    value: ListItemRecord | None = None


class ListOptOutRecord(_Lexicon):
    """`app.bsky.graph.referencelistoptout`."""

    subject: str | None = None


class RepoListOptOut(_Lexicon):
    """A record of an opt-out as `com.atproto.repo.listRecords` serves it."""

    value: ListOptOutRecord | None = None


class Relationship(_Lexicon):
    """`app.bsky.graph.defs#relationship`, as far as it tells of blocks. One that is not there is null."""

    did: str | None = None
    blocking: str | None = None
    blocked_by: str | None = None
    blocking_by_list: str | None = None
    blocked_by_list: str | None = None


class RepostRecord(_Lexicon):
    """`app.bsky.feed.repost`; of other records, when they were written."""

    created_at: str | None = None
    subject: StrongRef | None = None


class SubjectRecord(_Lexicon):
    """`app.bsky.graph.follow`, which names a DID, or `app.bsky.feed.like`, which names a record."""

    created_at: str | None = None
    subject: StrongRef | str | None = None
    via: StrongRef | None = None


class RepoRecord(_Lexicon):
    """A record as `com.atproto.repo.getRecord` and `listRecords` serve it."""

    uri: str | None = None
    cid: str | None = None
    value: RepostRecord | None = None


class StarterPackRecord(_Lexicon):
    """`app.bsky.graph.starterpack`."""

    name: str | None = None
    description: str | None = None
    created_at: str | None = None


class ListView(_Lexicon):
    """`app.bsky.graph.defs#listView` and `#listViewBasic`."""

    uri: str | None = None
    name: str | None = None
    description: str | None = None
    creator: Actor | None = None
    list_item_count: Count | None = None
    indexed_at: str | None = None
    labels: list[Label | None] | None = None


class StarterPackView(_Lexicon):
    """`app.bsky.graph.defs#starterPackView`."""

    uri: str | None = None
    record: StarterPackRecord | None = None
    creator: Actor | None = None
    member_list: ListView | None = msgspec.field(default=None, name="list")
    joined_week_count: Count | None = None
    joined_all_time_count: Count | None = None
    indexed_at: str | None = None
    labels: list[Label | None] | None = None


T = TypeVar("T", bound=msgspec.Struct)
_DECODERS: dict[type[msgspec.Struct], msgspec.json.Decoder[Any]] = {}
_MAKING_DECODER = threading.Lock()
_NOT_READABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_PATH_IN_ERROR = re.compile(r" - at `(\$.*)`$")
_PATH_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


def decode(raw: bytes | msgspec.Raw, lexicon: type[T]) -> tuple[T, list[str]]:
    """Read one item as far as it can be read.

    Args:
        raw: The item's own JSON.
        lexicon: The struct to read it as.

    Returns:
        The item without the values that break the lexicon, and a line for each of those: its path and what is wrong.
        Whatever a record holds, nothing is raised.
    """
    try:
        return _decoder(lexicon).decode(raw), []
    except _NOT_READABLE:
        return _decode_what_fits(bytes(raw), lexicon)


def _decoder(lexicon: type[T]) -> msgspec.json.Decoder[T]:
    """Make the decoder of a struct when it is first needed, one at a time.

    msgspec shows a struct to other threads before it has resolved the types of all fields. A second decoder of the
    struct, made meanwhile, lacks some types, and decoding with it crashes the process.
    """
    decoder = _DECODERS.get(lexicon)
    if decoder is None:
        with _MAKING_DECODER:
            decoder = _DECODERS.setdefault(lexicon, msgspec.json.Decoder(lexicon))
    return decoder


def _decode_what_fits(raw: bytes, lexicon: type[T]) -> tuple[T, list[str]]:
    issues: list[str] = []
    try:
        item = msgspec.json.decode(raw)
    except _NOT_READABLE as error:
        issues.append(f"$: {error}")
        try:
            # The standard library reads what msgspec does not: lone surrogates, control characters in strings.
            item = json.loads(readable_text(raw), strict=False, parse_constant=lambda _: None)
            item = _without_surrogates(item)
        except (ValueError, RecursionError):
            return lexicon(), issues
    while True:
        try:
            return msgspec.convert(item, lexicon), issues
        except msgspec.ValidationError as error:
            issue = str(error)
            at = _PATH_IN_ERROR.search(issue)
            path = at.group(1) if at else "$"
            issues.append(f"{path}: {issue[: at.start()] if at else issue}")
            if len(issues) >= MOST_ISSUES:
                path = path.partition("[")[0]  # From here on, a list with a value that does not fit goes as a whole.
            if not _set_null(item, path):
                return lexicon(), issues


def _set_null(item: Any, path: str) -> bool:
    """Put null where `path` points to; every field and list element of the structs may be null."""
    steps = [key or int(index) for key, index in _PATH_STEP.findall(path)]
    if not steps:
        return False
    for step in steps[:-1]:
        item = item[step]
    item[steps[-1]] = None
    return True


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_without_surrogates(element) for element in value]
        case dict():
            return {_without_surrogates(key): _without_surrogates(element) for key, element in value.items()}
    return value


def readable_text(raw: bytes) -> str:
    """Decode bytes that should be UTF-8; invalid ones become U+FFFD."""
    return raw.decode("utf-8", "replace")


def parse_datetime(value: str) -> datetime | None:
    """Read a `datetime` of the AT Protocol.

    Args:
        value: RFC 3339 with a zone, any number of fractional digits (https://atproto.com/specs/lexicon#datetime).

    Returns:
        The time in UTC, or None where `value` is no such time or lies outside the years 1 to 9999.
    """
    try:
        time = datetime.fromisoformat(value)
        return time.astimezone(UTC) if time.tzinfo else None
    except (ValueError, OverflowError):
        return None
