"""A client of the AppView, which serves packs, lists, profiles, feeds and reactions in pages.

The client keeps each item as the bytes that the service sent (`msgspec.Raw`); the caller decodes it. The items of a
page share the page's memory: copy an item (`Raw.copy()`) that must outlive its page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from pipelines.network import salvage
from pipelines.network.budgets import UNLIMITED, Budget
from pipelines.network.errors import (
    AccountDeactivated,
    AccountSuspended,
    ActorBlocked,
    ActorNotFound,
    AuthenticationFailed,
    NetworkError,
    RateLimited,
    RecordNotFound,
    RequestRejected,
    ServiceFailed,
    ServiceUnreachable,
)
from pipelines.network.headers import user_agent
from pipelines.network.identifiers import is_did
from pipelines.network.paging import RawItems, read_cursor
from pipelines.network.xrpc import RequestStats, XrpcClient

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pipelines.network.xrpc import Params

__all__ = [
    "PAGE_LIMIT",
    "POSTS_LIMIT",
    "PROFILES_LIMIT",
    "RELATIONSHIPS_LIMIT",
    "AccountDeactivated",
    "AccountSuspended",
    "ActorBlocked",
    "ActorNotFound",
    "AppView",
    "AuthenticationFailed",
    "FeedPage",
    "ListPage",
    "NetworkError",
    "RateLimited",
    "RecordNotFound",
    "RequestRejected",
    "RequestStats",
    "ServiceFailed",
    "ServiceUnreachable",
    "user_agent",
    "walk_budget",
]

PAGE_LIMIT: Final = 100
"""Items per page: the most that the lexicons of getList and getAuthorFeed allow."""

PROFILES_LIMIT: Final = 25
"""Actors per call of getProfiles: the most that its lexicon allows."""

POSTS_LIMIT: Final = 25
"""Posts per call of getPosts: the most that its lexicon allows."""

REACTIONS: Final = {
    "like": ("app.bsky.feed.getLikes", "likes"),
    "repost": ("app.bsky.feed.getRepostedBy", "repostedBy"),
    "quote": ("app.bsky.feed.getQuotes", "posts"),
}
"""What lists the reactions of a kind, and under which name."""

RELATIONSHIPS_LIMIT: Final = 30
"""Others per call of getRelationships: the most that its lexicon allows."""


@dataclass(frozen=True)
class ListPage:
    """A page of a list.

    Attributes:
        list: The list (`app.bsky.graph.defs#listView`).
        items: Its members on this page (`#listItemView`), newest first. The service leaves out unavailable accounts
            without a mark.
        cursor: Where the next page begins; None on the last one.
        is_cursor_broken: Whether the cursor is something other than text, so that the next page cannot be asked for.
    """

    list: msgspec.Raw
    items: RawItems
    cursor: str | None
    is_cursor_broken: bool = False


@dataclass(frozen=True)
class FeedPage:
    """A page of an author feed.

    Attributes:
        feed: Its items (`app.bsky.feed.defs#feedViewPost`), newest first. A page with few items, or with none, may
            have a next page.
        cursor: Where the next page begins; None on the last one.
        is_cursor_broken: Whether the next page cannot be asked for: the cursor is something other than text, or the
            page came damaged at every attempt and this is its readable part.
    """

    feed: RawItems
    cursor: str | None
    is_cursor_broken: bool = False


@dataclass(frozen=True)
class ReactionsPage:
    """A page of likes, reposts or quotes of a post.

    Attributes:
        items: Likes (`app.bsky.feed.getLikes#like`), profiles of those who reposted it
            (`app.bsky.actor.defs#profileView`), or quotes (`app.bsky.feed.defs#postView`), newest first.
        cursor: Where the next page begins; None on the last one.
        is_cursor_broken: As of a `FeedPage`.
    """

    items: RawItems
    cursor: str | None
    is_cursor_broken: bool = False


class _StarterPackBody(msgspec.Struct):
    starter_pack: msgspec.Raw = msgspec.field(name="starterPack")


class _ListBody(msgspec.Struct):
    list_view: msgspec.Raw = msgspec.field(name="list")
    items: RawItems
    cursor: msgspec.Raw = msgspec.Raw()


class _FeedBody(msgspec.Struct):
    feed: RawItems
    cursor: msgspec.Raw = msgspec.Raw()


class _ProfilesBody(msgspec.Struct):
    profiles: RawItems


class _PostsBody(msgspec.Struct):
    posts: RawItems


class _ThreadBody(msgspec.Struct):
    thread: msgspec.Raw


class _RelationshipsBody(msgspec.Struct):
    relationships: RawItems


class _ListItem(msgspec.Struct):
    uri: str


class _ResolvedHandle(msgspec.Struct):
    did: str


_starter_pack = msgspec.json.Decoder(_StarterPackBody)
_list = msgspec.json.Decoder(_ListBody)
_feed = msgspec.json.Decoder(_FeedBody)
_profiles = msgspec.json.Decoder(_ProfilesBody)
_posts = msgspec.json.Decoder(_PostsBody)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_items = msgspec.json.Decoder(RawItems)
_thread = msgspec.json.Decoder(_ThreadBody)
_relationships = msgspec.json.Decoder(_RelationshipsBody)
_list_item = msgspec.json.Decoder(_ListItem)
_resolved_handle = msgspec.json.Decoder(_ResolvedHandle)


def walk_budget() -> Budget:
    """Give what a walk through one feed may cost.

    Two million items are more than anybody is known to have written, and come to some 8 GB; six hours are as long as a
    job on GitHub may take.
    """
    return Budget("one feed", requests=20_000, size=16 * 1024**3, seconds=6 * 3600)


def _list_budget() -> Budget:
    """Give what reading one list may cost: half a million members, two requests a second."""
    return Budget("one list", requests=5_000, size=4 * 1024**3, seconds=3600)


class AppView(XrpcClient):
    """A client of an AppView; see `XrpcClient` for its settings.

    Every method raises a subclass of `NetworkError` when it gets no usable answer.
    """

    def starter_pack(self, uri: str) -> msgspec.Raw:
        """Ask for a starter pack (`app.bsky.graph.getStarterPack`).

        Args:
            uri: Its at:// URI, with a DID. (The service answers 500 to a URI with an unknown handle.)

        Returns:
            `app.bsky.graph.defs#starterPackView`. It names the list that holds the members.
        """

        def decode(body: bytes) -> msgspec.Raw:
            return _object(_starter_pack.decode(body).starter_pack)

        return self.query(
            "app.bsky.graph.getStarterPack", {"starterPack": uri}, decode, subject=uri, salvage=_saved_starter_pack
        )

    def list_pages(self, list_uri: str) -> Iterator[ListPage]:
        """Ask for a list, page by page (`app.bsky.graph.getList`).

        Args:
            list_uri: Its at:// URI, with a DID.

        Raises:
            ServiceFailed: After the last readable page, if the next one cannot be asked for.
        """
        return self.pages(
            "app.bsky.graph.getList",
            {"list": list_uri, "limit": PAGE_LIMIT},
            _list_page,
            lambda page: [_item_uri(item) for item in page.items],
            subject=list_uri,
            salvage=_saved_list_page,
            budget=_list_budget(),
        )

    def profiles(self, dids: Sequence[str], *, budget: Budget = UNLIMITED) -> RawItems:
        """Ask for detailed profiles (`app.bsky.actor.getProfiles`).

        Args:
            dids: At most 25. The service refuses the whole call if one of them is malformed.
            budget: What the conversation that they are asked for in may still cost.

        Returns:
            `app.bsky.actor.defs#profileViewDetailed` of the available accounts; the service leaves the others out.
        """
        if len(dids) > PROFILES_LIMIT:
            raise ValueError(f"getProfiles takes at most {PROFILES_LIMIT} actors, not {len(dids)}")
        if not dids:
            return []

        def decode(body: bytes) -> RawItems:
            return _profiles.decode(body).profiles

        subject = dids[0] if len(dids) == 1 else f"{len(dids)} actors"
        nsid = "app.bsky.actor.getProfiles"
        given: Params = {"actors": list(dids)}
        return self.query(nsid, given, decode, subject=subject, salvage=_saved_profiles, budget=budget)

    def profile(self, actor: str) -> msgspec.Raw:
        """Ask for one detailed profile (`app.bsky.actor.getProfile`); its error tells why an actor is unavailable.

        Args:
            actor: DID or handle.
        """

        def decode(body: bytes) -> msgspec.Raw:
            return _object(msgspec.json.decode(body, type=msgspec.Raw))

        return self.query("app.bsky.actor.getProfile", {"actor": actor}, decode, subject=actor)

    def feed_page(self, actor: str, cursor: str | None = None, *, budget: Budget = UNLIMITED) -> FeedPage:
        """Ask for a page of an actor's posts, replies and reposts (`app.bsky.feed.getAuthorFeed`), without pins.

        Args:
            actor: DID or handle.
            cursor: From the page before; None for the first page.
            budget: What the walk that the page is read for may still cost.

        Raises:
            ActorNotFound: Also for accounts that are deactivated, suspended or gone; `profile` tells them apart.
        """
        params: Params = {"actor": actor, "limit": PAGE_LIMIT, "cursor": cursor}
        nsid = "app.bsky.feed.getAuthorFeed"
        return self.query(nsid, params, _feed_page, subject=actor, salvage=_saved_feed_page, budget=budget)

    def posts(self, uris: Sequence[str], *, budget: Budget = UNLIMITED) -> RawItems:
        """Ask for posts, wherever they stand in a feed (`app.bsky.feed.getPosts`).

        Args:
            uris: At most 25, with DIDs. The service refuses the whole call if one of them is malformed.
            budget: As for `profiles`.

        Returns:
            `app.bsky.feed.defs#postView` of the posts that the service shows; it leaves the others out.
        """
        if len(uris) > POSTS_LIMIT:
            raise ValueError(f"getPosts takes at most {POSTS_LIMIT} posts, not {len(uris)}")
        if not uris:
            return []

        def decode(body: bytes) -> RawItems:
            return _posts.decode(body).posts

        subject = uris[0] if len(uris) == 1 else f"{len(uris)} posts"
        nsid = "app.bsky.feed.getPosts"
        given: Params = {"uris": list(uris)}
        return self.query(nsid, given, decode, subject=subject, salvage=_saved_posts, budget=budget)

    def reactions(self, kind: str, uri: str, *, budget: Budget = UNLIMITED) -> Iterator[ReactionsPage]:
        """Ask who likes, reposted or quoted a post, page by page.

        Args:
            kind: `like`, `repost` or `quote`.
            uri: The post's at:// URI, with a DID.
            budget: What all pages, or more than these, may cost.

        Raises:
            ServiceFailed: After the last readable page, if the next one cannot be asked for.
        """
        nsid, name = REACTIONS[kind]
        return self.pages(
            nsid,
            {"uri": uri, "limit": PAGE_LIMIT},
            lambda body: _reactions_page(body, name),
            lambda page: [bytes(item) for item in page.items],
            subject=uri,
            salvage=lambda body: _saved_reactions_page(body, name),
            must_end=True,
            budget=budget,
        )

    def thread(self, uri: str, depth: int, *, budget: Budget = UNLIMITED) -> msgspec.Raw:
        """Ask for what stands below a post (`app.bsky.feed.getPostThread`).

        Args:
            uri: The post's at:// URI, with a DID.
            depth: How many answers deep.
            budget: As for `reactions`.

        Returns:
            `app.bsky.feed.defs#threadViewPost`, or what stands in its place.
        """

        def decode(body: bytes) -> msgspec.Raw:
            return _object(_thread.decode(body).thread)

        given: Params = {"uri": uri, "depth": depth, "parentHeight": 0}
        return self.query("app.bsky.feed.getPostThread", given, decode, subject=uri, budget=budget)

    def relationships(self, did: str, others: Sequence[str]) -> RawItems:
        """Ask how somebody stands to others (`app.bsky.graph.getRelationships`): who follows and who blocks whom.

        Args:
            did: Whose relationships.
            others: At most 30 DIDs.

        Returns:
            `app.bsky.graph.defs#relationship` for each of the others that the service knows.
        """
        if len(others) > RELATIONSHIPS_LIMIT:
            raise ValueError(f"getRelationships takes at most {RELATIONSHIPS_LIMIT} others, not {len(others)}")
        if not others:
            return []

        def decode(body: bytes) -> RawItems:
            return _relationships.decode(body).relationships

        return self.query(
            "app.bsky.graph.getRelationships", {"actor": did, "others": list(others)}, decode, subject=did
        )

    def resolve_handle(self, handle: str) -> str:
        """Resolve a handle to a DID (`com.atproto.identity.resolveHandle`).

        Raises:
            ActorNotFound: Nobody has that handle.
        """

        def decode(body: bytes) -> str:
            did = _resolved_handle.decode(body).did
            if not is_did(did):
                raise ValueError(f"{did!r} is no DID")
            return did

        return self.query("com.atproto.identity.resolveHandle", {"handle": handle}, decode, subject=handle)


def _object(raw: msgspec.Raw) -> msgspec.Raw:
    if not bytes(raw).lstrip().startswith(b"{"):
        raise ValueError("expected an object")
    msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    return raw


def _list_page(body: bytes) -> ListPage:
    page = _list.decode(body)
    return ListPage(_object(page.list_view), page.items, *read_cursor(page.cursor))


def _feed_page(body: bytes) -> FeedPage:
    page = _feed.decode(body)
    return FeedPage(page.feed, *read_cursor(page.cursor))


def _reactions_page(body: bytes, name: str) -> ReactionsPage:
    fields = _members.decode(body)
    if name not in fields:
        raise ValueError(f"it has no `{name}`")
    return ReactionsPage(_items.decode(fields[name]), *read_cursor(fields.get("cursor", msgspec.Raw())))


def _saved_reactions_page(body: bytes, name: str) -> ReactionsPage | None:
    page = salvage.save_page(body, name)
    return ReactionsPage(page.items, page.cursor, page.is_cursor_broken) if page else None


def _saved_starter_pack(body: bytes) -> msgspec.Raw | None:
    pack = salvage.whole_members(body).get("starterPack", b"")
    return msgspec.Raw(pack) if pack.startswith(b"{") else None


def _saved_list_page(body: bytes) -> ListPage | None:
    page = salvage.save_page(body, "items")
    view = salvage.members(body).get("list", b"")
    return ListPage(msgspec.Raw(view), page.items, page.cursor, page.is_cursor_broken) if page and view else None


def _saved_profiles(body: bytes) -> RawItems | None:
    return _saved_whole_list(body, "profiles")


def _saved_posts(body: bytes) -> RawItems | None:
    return _saved_whole_list(body, "posts")


def _saved_whole_list(body: bytes, key: str) -> RawItems | None:
    # A page that was cut off gives none: what stands behind the cut would look as if the service left it out.
    page = salvage.save_page(body, key)
    return page.items if page and not page.is_cursor_broken else None


def _saved_feed_page(body: bytes) -> FeedPage | None:
    page = salvage.save_page(body, "feed")
    return FeedPage(page.items, page.cursor, page.is_cursor_broken) if page else None


def _item_uri(item: msgspec.Raw) -> str | bytes:
    try:
        return _list_item.decode(item).uri
    except (ValueError, RecursionError):
        return bytes(item)
