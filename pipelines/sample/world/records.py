"""Records as they stand in a repository, in JSON's terms (https://atproto.com/lexicons/app-bsky-feed, -graph, -actor).

This is also where a record breaks the lexicon, if the truth says that it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, assert_never

from pipelines.sample.world.days import timestamp
from pipelines.sample.world.truth import (
    BLOCK,
    EXTERNAL,
    FOLLOW,
    GALLERY,
    IMAGES,
    LIKE,
    LIST,
    LIST_ITEM,
    OPT_OUT,
    POST,
    PROFILE,
    RECORD,
    RECORD_WITH_MEDIA,
    REPOST,
    STARTER_PACK,
    VIDEO,
    Block,
    Card,
    Defect,
    Embed,
    Follow,
    Like,
    ListItem,
    Media,
    MemberList,
    OptOut,
    Post,
    Profile,
    Repost,
    StarterPack,
    StrongRef,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipelines.sample.world.truth import Facet, Record

    Json = dict[str, Any]

FACET: Final = "app.bsky.richtext.facet"


def record(thing: Record) -> Json:
    """Write something as the record that it is."""
    match thing:
        case Post():
            return _post(thing)
        case Repost():
            return {"$type": REPOST, "subject": _ref(thing.subject), "createdAt": timestamp(thing.created_at)}
        case Follow():
            return {"$type": FOLLOW, "subject": thing.subject, "createdAt": timestamp(thing.created_at)}
        case Like():
            return {"$type": LIKE, "subject": _ref(thing.subject), "createdAt": timestamp(thing.created_at)}
        case ListItem():
            at = timestamp(thing.added_at)
            return {"$type": LIST_ITEM, "subject": thing.subject, "list": thing.list_uri, "createdAt": at}
        case MemberList():
            return {
                "$type": LIST,
                "purpose": f"app.bsky.graph.defs#{thing.purpose}",
                "name": thing.name,
                "description": thing.description,
                "createdAt": timestamp(thing.created_at),
            }
        case StarterPack():
            return {
                "$type": STARTER_PACK,
                "name": thing.name,
                "description": thing.description,
                "list": thing.list.uri,
                "feeds": [],
                "createdAt": timestamp(thing.created_at),
            }
        case Block():
            return {"$type": BLOCK, "subject": thing.subject, "createdAt": timestamp(thing.created_at)}
        case OptOut():
            return {"$type": OPT_OUT, "subject": thing.list_uri, "createdAt": timestamp(thing.created_at)}
        case Profile():
            return _profile(thing)
        case _:
            assert_never(thing)


def self_labels(values: Iterable[str]) -> Json:
    """Write the labels that somebody puts on their own record."""
    return {"$type": "com.atproto.label.defs#selfLabels", "values": [{"val": value} for value in values]}


def blob(cid: str, mime_type: str) -> Json:
    """Write a reference to a picture or a video."""
    return {"$type": "blob", "ref": {"$link": cid}, "mimeType": mime_type, "size": 40_000 + len(cid) * 997}


def _post(post: Post) -> Json:
    written: Json = {"$type": POST}
    if post.text is not None:
        written["text"] = post.text
    if post.created_at_text is not None:
        written["createdAt"] = post.created_at_text
    if post.langs is not None:
        written["langs"] = list(post.langs)
    if post.facets is not None:
        written["facets"] = _facets(post.facets)
    if post.tags is not None:
        written["tags"] = list(post.tags)
    if post.reply is not None:
        written["reply"] = {"root": _ref(post.reply.root), "parent": _ref(post.reply.parent)}
    if post.embed is not None:
        written["embed"] = _embed(post.embed, post.defect)
    if post.self_labels:
        written["labels"] = self_labels(post.self_labels)
    written.update(post.extra)
    if post.defect is not None:
        written.update(_DEFECTS.get(post.defect, {}))
    return written


# What a broken record says instead; a field that is missing needs no word here.
_DEFECTS: Final[dict[Defect, Json]] = {
    Defect.TEXT_NUMBER: {"text": 42},
    Defect.CREATED_AT_WORDS: {"createdAt": "yesterday evening"},
    Defect.CREATED_AT_NUMBER: {"createdAt": 1772400000},
    Defect.LANGS_NUMBERS: {"langs": [1, 2]},
    Defect.LANGS_STRING: {"langs": "en"},
    Defect.TAGS_OBJECT: {"tags": {"first": "data"}},
    Defect.FACETS_TEXT: {"facets": "none"},
    Defect.REPLY_TEXT: {"reply": "to everybody"},
    Defect.EMBED_LIST: {"embed": ["https://duckdb.org/"]},
}


def _facets(facets: tuple[Facet, ...]) -> list[Json]:
    written: list[Json] = []
    for facet in facets:
        index = {"byteStart": facet.byte_start, "byteEnd": facet.byte_end}
        match facet.feature:
            case "mention":
                feature: Json = {"$type": f"{FACET}#mention", "did": facet.value}
            case "link":
                feature = {"$type": f"{FACET}#link", "uri": facet.value}
            case "tag":
                feature = {"$type": f"{FACET}#tag", "tag": facet.value}
            case unknown:
                feature = {"$type": unknown, "intensity": 3}
        if written and written[-1]["index"] == index:
            written[-1]["features"].append(feature)
        else:
            written.append({"index": index, "features": [feature]})
    return written


def _embed(embed: Embed, defect: Defect | None) -> Json:
    if embed.type == RECORD_WITH_MEDIA:
        if embed.card:
            media = _external(embed.card)
        elif embed.media[0].kind == "video":
            media = _video(embed.media[0])
        elif len(embed.media) > 4:
            media = _gallery(embed.media)
        else:
            media = _images(embed.media, defect)
        quoted = {"$type": RECORD, "record": _ref(embed.quoted)}
        return {"$type": RECORD_WITH_MEDIA, "record": quoted, "media": media}
    if embed.type == IMAGES:
        return _images(embed.media, defect)
    if embed.type == GALLERY:
        return _gallery(embed.media)
    if embed.type == VIDEO:
        return _video(embed.media[0])
    if embed.type == EXTERNAL:
        return _external(embed.card)
    if embed.type == RECORD:
        return {"$type": RECORD, "record": _ref(embed.quoted)}
    return {"$type": embed.type, "projection": {"width": 3, "depth": 4}}


def _images(media: tuple[Media, ...], defect: Defect | None) -> Json:
    images = []
    for picture in media:
        image: Json = {"image": blob(picture.blob_cid, "image/jpeg"), "aspectRatio": _aspect_ratio(picture)}
        if picture.alt is not None:
            image["alt"] = picture.alt
        images.append(image)
    return {"$type": IMAGES, "images": images}


def _gallery(media: tuple[Media, ...]) -> Json:
    items = [
        {
            "$type": f"{GALLERY}#image",
            "image": blob(picture.blob_cid, "image/jpeg"),
            "alt": picture.alt,
            "aspectRatio": _aspect_ratio(picture),
        }
        for picture in media
    ]
    return {"$type": GALLERY, "items": items}


def _video(video: Media) -> Json:
    written: Json = {"$type": VIDEO, "video": blob(video.blob_cid, "video/mp4"), "aspectRatio": _aspect_ratio(video)}
    if video.alt:
        written["alt"] = video.alt
    return written


def _external(card: Card | None) -> Json:
    assert card is not None
    external = {"uri": card.uri, "title": card.title, "description": card.description}
    return {"$type": EXTERNAL, "external": external}


def _profile(profile: Profile) -> Json:
    written: Json = {
        "$type": PROFILE,
        "displayName": profile.display_name,
        "description": profile.description,
        "createdAt": timestamp(profile.since),
    }
    if profile.avatar_cid:
        written["avatar"] = blob(profile.avatar_cid, "image/jpeg")
    if profile.labels:
        written["labels"] = self_labels(profile.labels)
    if profile.pinned:
        written["pinnedPost"] = _ref(profile.pinned)
    if profile.links:
        written["links"] = [_ref(link.ref) for link in profile.links]
    return written


def _aspect_ratio(media: Media) -> Json:
    return {"width": media.width, "height": media.height}


def _ref(ref: StrongRef | None) -> Json:
    assert ref is not None
    return {"uri": ref.uri, "cid": ref.cid}
