"""What the AppView shows of the truth: app.bsky views, as JSON.

One `Views` belongs to one evening. A post's view is encoded once and then spliced into whatever shows it.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pipelines.sample.world.days import timestamp
from pipelines.sample.world.records import record
from pipelines.sample.world.truth import (
    EXTERNAL,
    GALLERY,
    IMAGES,
    RECORD,
    RECORD_WITH_MEDIA,
    VIDEO,
    Actor,
    Card,
    Defect,
    Embed,
    FeedItem,
    Like,
    ListItem,
    Media,
    MemberList,
    Post,
    ProfileLink,
    StarterPack,
)

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.sample.world.world import Day

    Json = dict[str, Any]

_CDN: Final = "https://cdn.bsky.test"
_encode: Final = msgspec.json.Encoder().encode


class Views:
    """The views of one evening."""

    def __init__(self, day: Day) -> None:
        self.day = day
        self._authors: dict[str, msgspec.Raw] = {}
        self._posts: dict[str, msgspec.Raw] = {}
        self._items: dict[str, msgspec.Raw] = {}

    def author_feed(
        self, actor: Actor, limit: int, after: tuple[int, str] | None, *, include_pins: bool = False
    ) -> bytes:
        """Show a page of somebody's feed (app.bsky.feed.getAuthorFeed).

        Args:
            actor: Whose.
            limit: How many items at most; a pinned post comes on top.
            after: The place, by milliseconds and CID, after which the page begins; None for the first page.
            include_pins: Whether the first page begins with the pinned post.
        """
        items = self.day.feed(actor.did)
        start = 0 if after is None else bisect_left(items, True, key=lambda item: item.key < after)
        page = items[start : start + limit]
        body: Json = {"feed": [self.feed_item(item) for item in page]}
        profile = actor.profile(self.day.now)
        if include_pins and after is None and profile and profile.pinned:
            pinned = self.day.posts.get(profile.pinned.uri)
            if pinned:
                others = [self.feed_item(item) for item in page if item.uri != pinned.uri]
                body["feed"] = [self.pinned_item(pinned), *others]
        if start + limit < len(items):
            milliseconds, cid = page[-1].key
            body["cursor"] = f"{milliseconds}__{cid}"
        return _encode(body)

    def feed_item(self, item: FeedItem) -> msgspec.Raw:
        """Show an item of somebody's feed (feed.defs#feedViewPost)."""
        raw = self._items.get(item.uri)
        if raw is None:
            view: Json = {"post": self.post(item.post)}
            if item.post.reply and item.post.defect is not Defect.REPLY_TEXT:
                view["reply"] = self._reply(item.post)
            if item.repost:
                view["reason"] = {
                    "$type": "app.bsky.feed.defs#reasonRepost",
                    "by": self.author(self.day.actors[item.member]),
                    "uri": item.repost.uri,
                    "cid": item.repost.cid,
                    "indexedAt": timestamp(item.repost.indexed_at),
                }
            raw = self._items[item.uri] = msgspec.Raw(_encode(view))
        return raw

    def pinned_item(self, post: Post) -> msgspec.Raw:
        """Show a pinned post at the top of a feed."""
        view: Json = {"post": self.post(post), "reason": {"$type": "app.bsky.feed.defs#reasonPin"}}
        if post.reply:
            view["reply"] = self._reply(post)
        return msgspec.Raw(_encode(view))

    def post(self, post: Post) -> msgspec.Raw:
        """Show a post (feed.defs#postView)."""
        raw = self._posts.get(post.uri)
        if raw is None:
            counts = self.day.counts(post)
            view: Json = {
                "uri": post.uri,
                "cid": post.cid,
                "author": self.author(self.day.actors[post.author]),
                "record": record(post),
                "bookmarkCount": counts.bookmark,
                "replyCount": counts.reply,
                "repostCount": counts.repost,
                "likeCount": counts.like,
                "quoteCount": counts.quote,
                "indexedAt": timestamp(post.indexed_at),
                "labels": self._post_labels(post),
            }
            if post.defect is Defect.COUNTS_MISSING:
                for name in ("bookmarkCount", "replyCount", "repostCount", "likeCount", "quoteCount"):
                    del view[name]
            elif post.defect is Defect.COUNTS_TEXT:
                view["likeCount"] = "many"
            if post.embed and (embed := self._embed(post, post.embed)):
                view["embed"] = embed
            raw = self._posts[post.uri] = msgspec.Raw(_encode(view))
        return raw

    def like(self, like: Like) -> Json:
        """Show who likes a post (feed.getLikes#like)."""
        at = timestamp(like.created_at)
        return {"actor": self.profile(self.day.actors[like.author]), "createdAt": at, "indexedAt": at}

    def thread(self, post: Post, depth: int) -> Json:
        """Show a post with what stands below it (feed.defs#threadViewPost)."""
        view: Json = {"$type": "app.bsky.feed.defs#threadViewPost", "post": self.post(post)}
        if depth > 0:
            replies = self.day.replies.get(post.uri, [])
            view["replies"] = [
                self._referenced(reply.uri, post.author)
                if self.day.is_blocked(reply.author, post.author)
                else self.thread(reply, depth - 1)
                for reply in replies
            ]
        return view

    def author(self, actor: Actor) -> msgspec.Raw:
        """Show who wrote something (actor.defs#profileViewBasic)."""
        raw = self._authors.get(actor.did)
        if raw is None:
            raw = self._authors[actor.did] = msgspec.Raw(_encode(self._basic(actor)))
        return raw

    def profile(self, actor: Actor) -> Json:
        """Show somebody in a list (actor.defs#profileView)."""
        view = self._basic(actor)
        profile = actor.profile(self.day.now)
        if profile:
            view["description"] = profile.description
            view["indexedAt"] = timestamp(profile.since)
        return view

    def detailed_profile(self, actor: Actor) -> Json:
        """Show somebody in full (actor.defs#profileViewDetailed)."""
        view = self.profile(actor)
        view["followersCount"] = self.day.followers_count(actor)
        view["followsCount"] = self.day.follows_count(actor)
        view["postsCount"] = self.day.posts_count(actor)
        profile = actor.profile(self.day.now)
        if profile and profile.pinned:
            view["pinnedPost"] = {"uri": profile.pinned.uri, "cid": profile.pinned.cid}
        if profile and profile.links:
            view["links"] = [self._profile_link(link, profile.since) for link in profile.links]
        if actor.joined_via_pack:
            pack = next(pack for pack in self.day.world.packs if pack.uri == actor.joined_via_pack)
            view["joinedViaStarterPack"] = self.basic_starter_pack(pack)
        return view

    def starter_pack(self, pack: StarterPack) -> Json:
        """Show a starter pack (graph.defs#starterPackView)."""
        view = self._pack(pack)
        view["list"] = {
            "uri": pack.list.uri,
            "cid": pack.list.cid,
            "name": pack.list.name,
            "purpose": f"app.bsky.graph.defs#{pack.list.purpose}",
            "listItemCount": len(self.day.memberships(pack.list)),
            "indexedAt": timestamp(pack.list.created_at),
            "labels": [],
        }
        newest = self.day.memberships(pack.list)[:50]
        shown = {item.uri for item in self.day.listed(pack.list)}
        view["listItemsSample"] = [self.list_item(item) for item in newest if item.uri in shown][:12]
        view["feeds"] = []
        return view

    def basic_starter_pack(self, pack: StarterPack) -> Json:
        """Show a starter pack in brief (graph.defs#starterPackViewBasic)."""
        return {**self._pack(pack), "listItemCount": len(self.day.memberships(pack.list))}

    def member_list(self, members: MemberList) -> Json:
        """Show a list (graph.defs#listView)."""
        view = {
            "uri": members.uri,
            "cid": members.cid,
            "creator": self.profile(self.day.actors[members.creator]),
            "name": members.name,
            "purpose": f"app.bsky.graph.defs#{members.purpose}",
            "listItemCount": len(self.day.memberships(members)),
            "indexedAt": timestamp(members.created_at),
            "labels": [],
        }
        if members.description:
            view["description"] = members.description
        return view

    def list_item(self, item: ListItem) -> Json:
        """Show a membership (graph.defs#listItemView)."""
        return {"uri": item.uri, "subject": self.profile(self.day.actors[item.subject])}

    def _basic(self, actor: Actor) -> Json:
        view: Json = {"did": actor.did, "handle": actor.handle(self.day.now), "labels": []}
        profile = actor.profile(self.day.now)
        if profile is None:
            return view
        view["displayName"] = profile.display_name
        if profile.avatar_cid:
            view["avatar"] = f"{_CDN}/img/avatar/plain/{actor.did}/{profile.avatar_cid}@jpeg"
        view["createdAt"] = timestamp(actor.created_at)
        view["labels"] = [
            {
                "src": actor.did,
                "uri": f"at://{actor.did}/app.bsky.actor.profile/self",
                "cid": profile.cid,
                "val": label,
                "cts": timestamp(profile.since),
            }
            for label in profile.labels
        ]
        return view

    def _pack(self, pack: StarterPack) -> Json:
        return {
            "uri": pack.uri,
            "cid": pack.cid,
            "record": record(pack),
            "creator": self.author(self.day.actors[pack.creator]),
            "joinedAllTimeCount": self.day.joined_all_time_count(pack),
            "joinedWeekCount": pack.joined_week,
            "labels": [],
            "indexedAt": timestamp(pack.created_at),
        }

    def _profile_link(self, link: ProfileLink, since: datetime) -> Json:
        ref = {"uri": link.ref.uri, "cid": link.ref.cid}
        view: Json = {**ref, "url": link.url}
        if link.title is not None:
            view["title"] = link.title
        if link.labels:
            by = {"src": self.day.world.labeler, **ref, "cts": timestamp(since)}
            view["labels"] = [{**by, "val": value} for value in link.labels]
        return view

    def _reply(self, post: Post) -> Json:
        assert post.reply is not None
        view: Json = {
            "root": self._referenced(post.reply.root.uri, post.author),
            "parent": self._referenced(post.reply.parent.uri, post.author),
        }
        parent = self.day.posts.get(post.reply.parent.uri)
        if parent and parent.reply:
            grandparent = self.day.posts.get(parent.reply.parent.uri)
            if grandparent:
                view["grandparentAuthor"] = self.author(self.day.actors[grandparent.author])
        return view

    def _referenced(self, uri: str, seen_from: str) -> Json | msgspec.Raw:
        post = self.day.posts.get(uri)
        if post is None:
            return {"$type": "app.bsky.feed.defs#notFoundPost", "uri": uri, "notFound": True}
        if self.day.is_blocked(post.author, seen_from):
            author = {"did": post.author}
            return {"$type": "app.bsky.feed.defs#blockedPost", "uri": uri, "blocked": True, "author": author}
        return msgspec.Raw(b'{"$type":"app.bsky.feed.defs#postView",' + bytes(self.post(post))[1:])

    def _post_labels(self, post: Post) -> list[Json]:
        by = [(post.author, value) for value in post.self_labels]
        by += [(self.day.world.labeler, value) for value in post.labels]
        at = timestamp(post.indexed_at)
        return [{"src": src, "uri": post.uri, "cid": post.cid, "val": value, "cts": at} for src, value in by]

    def _embed(self, post: Post, embed: Embed) -> Json | None:
        match embed.type:
            case "app.bsky.embed.recordWithMedia":
                return {
                    "$type": f"{RECORD_WITH_MEDIA}#view",
                    "record": self._quote(post, embed),
                    "media": _media(post.author, embed),
                }
            case "app.bsky.embed.record":
                return self._quote(post, embed)
            case (
                "app.bsky.embed.images" | "app.bsky.embed.gallery" | "app.bsky.embed.video" | "app.bsky.embed.external"
            ):
                return _media(post.author, embed)
            case _:
                return None

    def _quote(self, post: Post, embed: Embed) -> Json:
        assert embed.quoted is not None
        return {"$type": f"{RECORD}#view", "record": self._quoted(post, embed, embed.quoted.uri)}

    def _quoted(self, post: Post, embed: Embed, uri: str) -> Json:
        for pack in self.day.world.packs:
            if pack.uri == uri:
                return {"$type": "app.bsky.graph.defs#starterPackViewBasic", **self.basic_starter_pack(pack)}
        for members in self.day.world.lists:
            if members.uri == uri:
                return {"$type": "app.bsky.graph.defs#listView", **self.member_list(members)}
        if "/app.bsky.feed.generator/" in uri:
            return self._generator(uri, embed)
        quoted = self.day.posts.get(uri)
        if quoted is None:
            return {"$type": f"{RECORD}#viewNotFound", "uri": uri, "notFound": True}
        if self.day.is_blocked(post.author, quoted.author):
            author = {"did": quoted.author}
            return {"$type": f"{RECORD}#viewBlocked", "uri": uri, "blocked": True, "author": author}
        if embed.detached_at and embed.detached_at <= self.day.now:
            return {"$type": f"{RECORD}#viewDetached", "uri": uri, "detached": True}
        counts = self.day.counts(quoted)
        view: Json = {
            "$type": f"{RECORD}#viewRecord",
            "uri": quoted.uri,
            "cid": quoted.cid,
            "author": self.author(self.day.actors[quoted.author]),
            "value": record(quoted),
            "labels": self._post_labels(quoted),
            "indexedAt": timestamp(quoted.indexed_at),
            "embeds": [],
        }
        for name, count in (
            ("likeCount", counts.like),
            ("replyCount", counts.reply),
            ("repostCount", counts.repost),
            ("quoteCount", counts.quote),
        ):
            if count is not None:
                view[name] = count
        if quoted.embed and quoted.embed.type in (IMAGES, GALLERY, VIDEO, EXTERNAL):
            view["embeds"].append(_media(quoted.author, quoted.embed))
        return view

    def _generator(self, uri: str, embed: Embed) -> Json:
        assert embed.quoted is not None
        creator = self.day.actors[uri.split("/")[2]]
        return {
            "$type": "app.bsky.feed.defs#generatorView",
            "uri": uri,
            "cid": embed.quoted.cid,
            "did": "did:web:feeds.bsky.test",
            "creator": self.profile(creator),
            "displayName": "Data, chronological",
            "likeCount": 120 + self.day.number,
            "labels": [],
            "indexedAt": timestamp(creator.created_at),
        }


def _media(did: str, embed: Embed) -> Json:
    if embed.card:
        return _external(embed.card)
    if embed.media[0].kind == "video":
        return _video(did, embed.media[0])
    if embed.type == GALLERY or len(embed.media) > 4:
        items = [
            {
                "$type": f"{GALLERY}#viewImage",
                "thumbnail": _image_url("feed_thumbnail", did, picture),
                "fullsize": _image_url("feed_fullsize", did, picture),
                "alt": picture.alt,
                "aspectRatio": {"width": picture.width, "height": picture.height},
            }
            for picture in embed.media
        ]
        return {"$type": f"{GALLERY}#view", "items": items}
    images = []
    for picture in embed.media:
        image: Json = {
            "thumb": _image_url("feed_thumbnail", did, picture),
            "fullsize": _image_url("feed_fullsize", did, picture),
            "aspectRatio": {"width": picture.width, "height": picture.height},
        }
        if picture.alt is not None:
            image["alt"] = picture.alt
        images.append(image)
    return {"$type": f"{IMAGES}#view", "images": images}


def _external(card: Card) -> Json:
    external = {"uri": card.uri, "title": card.title, "description": card.description}
    return {"$type": f"{EXTERNAL}#view", "external": external}


def _video(did: str, video: Media) -> Json:
    view: Json = {
        "$type": f"{VIDEO}#view",
        "cid": video.blob_cid,
        "playlist": f"https://video.bsky.test/watch/{did}/{video.blob_cid}/playlist.m3u8",
        "thumbnail": f"https://video.bsky.test/watch/{did}/{video.blob_cid}/thumbnail.jpg",
        "aspectRatio": {"width": video.width, "height": video.height},
    }
    if video.alt:
        view["alt"] = video.alt
    return view


def _image_url(preset: str, did: str, picture: Media) -> str:
    return f"{_CDN}/img/{preset}/plain/{did}/{picture.blob_cid}@jpeg"
