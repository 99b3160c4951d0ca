"""The rows that the truth of the sample world asks for, computed without looking at any JSON."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipelines.sample.world.truth import Defect

if TYPE_CHECKING:
    from pipelines.sample.world.truth import Embed, FeedItem, MemberList, Post, Profile, StarterPack
    from pipelines.sample.world.world import Day

Row = dict[str, Any]

ISSUES: dict[Defect, list[str]] = {
    Defect.TEXT_NUMBER: ["$.post.record.text"],
    Defect.CREATED_AT_WORDS: ["$.post.record.createdAt"],
    Defect.CREATED_AT_NUMBER: ["$.post.record.createdAt"],
    Defect.LANGS_NUMBERS: ["$.post.record.langs[0]", "$.post.record.langs[1]"],
    Defect.LANGS_STRING: ["$.post.record.langs"],
    Defect.TAGS_OBJECT: ["$.post.record.tags"],
    Defect.FACETS_TEXT: ["$.post.record.facets"],
    Defect.REPLY_TEXT: ["$.post.record.reply"],
    Defect.COUNTS_TEXT: ["$.post.likeCount"],
    Defect.EMBED_LIST: ["$.post.record.embed"],
}
"""Where a record breaks the lexicon by what it holds; what it lacks leaves a null and no issue."""


def feed_item(item: FeedItem, day: Day) -> Row:
    """Give the row of `author_feed`, without `observed_at`, `raw` and `_dlt_load_id`, and the paths in `issues`."""
    post, repost = item.post, item.repost
    author = day.actors[post.author]
    profile = author.profile(day.now)
    counts = day.counts(post)
    indexed_at = served(post.indexed_at)
    own_item_at = None if post.created_at is None else min(post.created_at, indexed_at)
    is_far_ahead = post.created_at is not None and post.created_at > day.now + timedelta(days=1)
    return {
        "member_did": item.member,
        "item_uri": item.uri,
        "item_at": served(repost.indexed_at) if repost else own_item_at,
        "item_indexed_at": served(repost.indexed_at) if repost else indexed_at,
        "reason_type": "repost" if repost else None,
        "post_uri": post.uri,
        "post_cid": post.cid,
        "post_indexed_at": indexed_at,
        "author_did": post.author,
        "author_handle": author.handle(day.now),
        "author_display_name": profile.display_name if profile else None,
        "author_labels": list(profile.labels) if profile else [],
        "created_at": None if is_far_ahead else post.created_at,
        "text": post.text,
        "langs": _list_or_none(post.langs),
        "tags": _list_or_none(post.tags),
        "facets": None if post.facets is None else [_facet(post, index) for index in range(len(post.facets))],
        "reply_parent_uri": post.reply.parent.uri if post.reply else None,
        "reply_root_uri": post.reply.root.uri if post.reply else None,
        **_embed(post.embed),
        "like_count": counts.like,
        "repost_count": counts.repost,
        "reply_count": counts.reply,
        "quote_count": counts.quote,
        "bookmark_count": counts.bookmark,
        "labels": list(post.labels),
        "self_labels": list(post.self_labels) or None,
        "issues": ["$.post.record.createdAt"] if is_far_ahead else ISSUES.get(post.defect) if post.defect else None,
    }


def served(at: datetime) -> datetime:
    """Cut a time to what a service writes: milliseconds."""
    return at - timedelta(microseconds=at.microsecond % 1000)


def _list_or_none(values: tuple[str, ...] | None) -> list[str] | None:
    return None if values is None else list(values)


def _facet(post: Post, index: int) -> Row:
    assert post.facets is not None
    facet = post.facets[index]
    return {
        "feature": facet.feature,
        "value": facet.value,
        "byte_start": facet.byte_start,
        "byte_end": facet.byte_end,
    }


def _embed(embed: Embed | None) -> Row:
    card, quoted = (embed.card, embed.quoted) if embed else (None, None)
    media = [{"kind": medium.kind, "alt": medium.alt} for medium in embed.media] if embed else []
    return {
        "embed_type": embed.type if embed else None,
        "quoted_uri": quoted.uri if quoted else None,
        "link_uri": card.uri if card else None,
        "link_title": card.title if card else None,
        "link_description": card.description if card else None,
        "media": media or None,
    }


def profile(did: str, day: Day) -> Row:
    """Give the row of `profiles`, without `observed_at`, `avatar_url`, `issues`, `raw` and `_dlt_load_id`."""
    actor = day.actors[did]
    version = actor.profile(day.now)
    return {
        "did": did,
        "handle": actor.handle(day.now),
        "display_name": version.display_name if version else None,
        "description": version.description if version else None,
        "links": _profile_links(version) if version else None,
        "followers_count": day.followers_count(actor),
        "follows_count": day.follows_count(actor),
        "posts_count": day.posts_count(actor),
        "pinned_post_uri": version.pinned.uri if version and version.pinned else None,
        "joined_via_pack_uri": actor.joined_via_pack,
        "created_at": served(actor.created_at) if version else None,
        "indexed_at": served(version.since) if version else None,
        "labels": list(version.labels) if version else [],
    }


def _profile_links(version: Profile) -> list[Row] | None:
    return [
        {"url": link.url, "title": link.title, "labels": list(link.labels) or None} for link in version.links
    ] or None


def starter_pack(pack: StarterPack, day: Day) -> Row:
    """Give the row of `starter_packs`, without `observed_at`, joined counts, `issues`, `raw` and `_dlt_load_id`."""
    return {
        "uri": pack.uri,
        "seed_type": "starter_pack",
        "name": pack.name,
        "description": pack.description,
        "list_uri": pack.list.uri,
        "created_at": served(pack.created_at),
        "indexed_at": served(pack.created_at),
        **_memberships(pack.list, day),
    }


def plain_list(members: MemberList, day: Day) -> Row:
    """Give the row of `starter_packs` of a plain list."""
    return {
        "uri": members.uri,
        "seed_type": "list",
        "name": members.name,
        "description": members.description or None,
        "list_uri": members.uri,
        "created_at": None,
        "indexed_at": served(members.created_at),
        **_memberships(members, day),
    }


def _memberships(members: MemberList, day: Day) -> Row:
    return {
        "creator_did": members.creator,
        "creator_handle": day.actors[members.creator].handle(day.now),
        "list_item_count": len(day.memberships(members)),
        "labels": [],
        "is_membership_complete": True,
    }


def memberships(pack_uri: str, seed_type: str, members: MemberList, day: Day) -> list[Row]:
    """Give the rows of `starter_pack_members` of a pack or list, without times, `issues`, `raw` and the load."""
    listed = {item.uri for item in day.listed(members)}
    return [
        {
            "pack_uri": pack_uri,
            "did": item.subject,
            "seed_type": seed_type,
            "list_item_uri": item.uri,
            "is_listed": item.uri in listed,
            "hidden_because": day.hidden_because(item.subject, members),
            **_shown(item.subject, day, item.uri in listed),
        }
        for item in day.memberships(members)
    ]


def _shown(did: str, day: Day, is_listed: bool) -> Row:
    if not is_listed:
        return {"handle": None, "display_name": None, "labels": None}
    version = day.actors[did].profile(day.now)
    return {
        "handle": day.actors[did].handle(day.now),
        "display_name": version.display_name if version else None,
        "labels": list(version.labels) if version else [],
    }
