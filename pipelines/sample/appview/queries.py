"""The XRPC queries of the sample network, as functions from parameters to JSON.

What they answer, and how they fail, follows Bluesky's own AppView and PDS.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from pipelines.sample.appview.signed_repositories import latest_commit, repository_car
from pipelines.sample.world.ids import microseconds
from pipelines.sample.world.records import record
from pipelines.sample.world.truth import ACTIVE, DEACTIVATED, DELETED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pipelines.sample.appview.views import Views
    from pipelines.sample.world.repositories import Stored
    from pipelines.sample.world.truth import Actor, Like, Post, Repost

    Params = Mapping[str, Sequence[str]]
    Json = dict[str, Any]

T = TypeVar("T", "Like", "Repost", "Post")

_encode: Final = msgspec.json.Encoder().encode
_DID: Final = re.compile(r"did:[a-z]+:[A-Za-z0-9._:%-]*[A-Za-z0-9._-]")
_HANDLE: Final = re.compile(r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_CURSOR: Final = re.compile(r"(\d+)__(\w+)")


class XrpcError(Exception):
    """An error as XRPC tells it: a status, a name and a message."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.message = message


def answer(nsid: str, views: Views, params: Params, requester: str | None = None) -> bytes:
    """Answer a query.

    Args:
        nsid: The method, e.g. `app.bsky.graph.getList`.
        views: The evening that is looked at.
        params: Every value of every parameter.
        requester: DID of whoever asks, if they are logged in.

    Raises:
        XrpcError: The method is unknown, a parameter is wrong, or what is asked for is not there.
    """
    method = _METHODS.get(nsid)
    if method is None:
        raise XrpcError(501, "MethodNotImplemented", "Method Not Implemented")
    if requester and method is get_author_feed:
        _refuse_blocked(views, params, requester)
    return method(views, params)


def get_starter_pack(views: Views, params: Params) -> bytes:
    """app.bsky.graph.getStarterPack: the only one here that resolves a handle in the URI."""
    authority, _, rest = _one(params, "starterPack").removeprefix("at://").partition("/")
    creator = views.day.find(authority)
    if creator is None and not authority.startswith("did:"):
        raise XrpcError(500, "InternalServerError", "Internal Server Error")
    uri = f"at://{creator.did if creator else authority}/{rest}"
    for pack in views.day.world.packs:
        if pack.uri == uri:
            return _encode({"starterPack": views.starter_pack(pack)})
    raise _invalid("Starter pack not found")


def get_starter_packs(views: Views, params: Params) -> bytes:
    """app.bsky.graph.getStarterPacks: those that exist, in the order asked for."""
    packs = {pack.uri: pack for pack in views.day.world.packs}
    uris = _many(params, "uris", 25)
    return _encode({"starterPacks": [views.basic_starter_pack(packs[uri]) for uri in uris if uri in packs]})


def get_list(views: Views, params: Params) -> bytes:
    """app.bsky.graph.getList: hidden members are left out of a page after it was cut, so that it may be short."""
    uri, limit = _one(params, "list"), _limit(params)
    lists = (*(pack.list for pack in views.day.world.packs), *views.day.world.lists)
    members = next((members for members in lists if members.uri == uri), None)
    if members is None:
        raise _invalid("List not found")
    # Who opted out is no row; who is hidden for another reason is left out of a page that has been cut.
    rows = [item for item in views.day.memberships(members) if not views.day.has_opted_out(item.subject, members)]
    start = 0
    if cursor := _optional(params, "cursor"):
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            raise XrpcError(500, "InternalServerError", "Internal Server Error")
        key = (int(match[1]), match[2])
        start = bisect_left(rows, True, key=lambda item: (microseconds(item.added_at) // 1000, item.cid) < key)
    page = rows[start : start + limit]
    shown = {item.uri for item in views.day.listed(members)}
    body: Json = {
        "list": views.member_list(members),
        "items": [views.list_item(item) for item in page if item.uri in shown],
    }
    if start + limit < len(rows):
        body["cursor"] = f"{microseconds(page[-1].added_at) // 1000}__{page[-1].cid}"
    return _encode(body)


def get_relationships(views: Views, params: Params) -> bytes:
    """app.bsky.graph.getRelationships, of DIDs: blocks alone, and no list is blocked as a whole."""
    actor, others = views.day.find(_actor(_one(params, "actor"), "actor")), _many(params, "others", 30)
    prefix = "app.bsky.graph.defs"
    if actor is None:
        unknown = [{"$type": f"{prefix}#notFoundActor", "actor": other, "notFound": True} for other in others]
        return _encode({"relationships": unknown})
    relationships: list[Json] = []
    standing = [block for block in views.day.world.blocks if block.created_at <= views.day.now]
    blocks = {(block.author, block.subject): block.uri for block in standing}
    for other in others:
        found = {"blocking": blocks.get((actor.did, other)), "blockedBy": blocks.get((other, actor.did))}
        shown = {name: uri for name, uri in found.items() if uri}
        relationships.append({"$type": f"{prefix}#relationship", "did": other, **shown})
    return _encode({"actor": actor.did, "relationships": relationships})


def get_profile(views: Views, params: Params) -> bytes:
    """app.bsky.actor.getProfile: tells the kinds of unavailability apart."""
    actor = views.day.find(_actor(_one(params, "actor"), "actor"))
    status = actor.status(views.day.now) if actor else DELETED
    if actor is None or status == DELETED:
        raise _invalid("Profile not found")
    if status == DEACTIVATED:
        raise XrpcError(400, "AccountDeactivated", "Account is deactivated")
    if status != ACTIVE:
        raise XrpcError(400, "AccountTakedown", "Account has been suspended")
    return _encode(views.detailed_profile(actor))


def get_profiles(views: Views, params: Params) -> bytes:
    """app.bsky.actor.getProfiles: in the order asked for, repeated as asked for, without the unavailable."""
    actors = [views.day.find(_actor(actor, f"actors/{n}")) for n, actor in enumerate(_many(params, "actors", 25))]
    shown = [actor for actor in actors if actor and actor.is_available(views.day.now)]
    return _encode({"profiles": [views.detailed_profile(actor) for actor in shown]})


def get_author_feed(views: Views, params: Params) -> bytes:
    """app.bsky.feed.getAuthorFeed, with the default filter only."""
    limit = _limit(params)
    kind = _optional(params, "filter") or "posts_with_replies"
    if kind != "posts_with_replies":
        raise _invalid(f"The sample network has no filter {kind}, only posts_with_replies")
    actor = _available(views, params)
    after = None
    if cursor := _optional(params, "cursor"):
        match = _CURSOR.fullmatch(cursor)
        if match is None:
            raise _invalid("Malformed cursor")
        after = (int(match[1]), match[2])
    return views.author_feed(actor, limit, after, include_pins=_optional(params, "includePins") == "true")


def get_posts(views: Views, params: Params) -> bytes:
    """app.bsky.feed.getPosts: without those that are not there, each once."""
    found = (views.day.posts.get(uri) for uri in dict.fromkeys(_many(params, "uris", 25)))
    return _encode({"posts": [views.post(post) for post in found if post]})


def get_likes(views: Views, params: Params) -> bytes:
    """app.bsky.feed.getLikes: a post that is not there has none."""
    return _reactions(params, "likes", views.day.likes, views.like)


def get_reposted_by(views: Views, params: Params) -> bytes:
    """app.bsky.feed.getRepostedBy: people, without a time."""
    return _reactions(
        params, "repostedBy", views.day.reposts, lambda repost: views.profile(views.day.actors[repost.author])
    )


def get_quotes(views: Views, params: Params) -> bytes:
    """app.bsky.feed.getQuotes, newest first."""
    return _reactions(params, "posts", views.day.quotes, views.post)


def _reactions(params: Params, name: str, by_post: Mapping[str, list[T]], view: Callable[[T], object]) -> bytes:
    """Show a page; the last one has a cursor, too, and an empty page behind it."""
    uri, limit, cursor = _one(params, "uri"), _limit(params), _optional(params, "cursor")
    found = by_post.get(uri, [])
    start = next((place for place, one in enumerate(found, 1) if one.cid == cursor), len(found)) if cursor else 0
    page = found[start : start + limit]
    body: Json = {"uri": uri, name: [view(one) for one in page]}
    if page:
        body["cursor"] = page[-1].cid
    return _encode(body)


def get_post_thread(views: Views, params: Params) -> bytes:
    """app.bsky.feed.getPostThread: what stands below the post alone."""
    post = views.day.posts.get(_one(params, "uri"))
    if post is None:
        raise XrpcError(400, "NotFound", f"Post not found: {_one(params, 'uri')}")
    return _encode({"thread": views.thread(post, int(_optional(params, "depth") or 6))})


def resolve_handle(views: Views, params: Params) -> bytes:
    """com.atproto.identity.resolveHandle."""
    actor = views.day.find(_one(params, "handle"))
    if actor is None or actor.status(views.day.now) == DELETED:
        raise _invalid("Unable to resolve handle")
    return _encode({"did": actor.did})


def list_records(views: Views, params: Params) -> bytes:
    """com.atproto.repo.listRecords: newest record key first, or in reverse; a page that is not empty has a cursor."""
    actor = _repository(views, params)
    limit = _limit(params)
    stored = views.day.records(actor.did, _one(params, "collection"))
    cursor = _optional(params, "cursor")
    if _optional(params, "reverse") == "true":
        page = [one for one in stored if cursor is None or one.rkey > cursor][:limit]
    else:
        page = [one for one in reversed(stored) if cursor is None or one.rkey < cursor][:limit]
    body: Json = {"records": [_record(actor, one) for one in page]}
    if page:
        body["cursor"] = page[-1].rkey
    return _encode(body)


def get_record(views: Views, params: Params) -> bytes:
    """com.atproto.repo.getRecord."""
    actor = _repository(views, params)
    collection, rkey = _one(params, "collection"), _one(params, "rkey")
    for one in views.day.records(actor.did, collection):
        if one.rkey == rkey and _optional(params, "cid") in (None, one.cid):
            return _encode(_record(actor, one))
    raise XrpcError(400, "RecordNotFound", f"Could not locate record: at://{actor.did}/{collection}/{rkey}")


def get_repo_status(views: Views, params: Params) -> bytes:
    """com.atproto.sync.getRepoStatus: a deleted repository is not found, other inactive ones say why."""
    did = _one(params, "did")
    actor = views.day.actors.get(did)
    status = actor.status(views.day.now) if actor else DELETED
    if status == DELETED:
        raise XrpcError(400, "RepoNotFound", f"Could not find repo for DID: {did}")
    if status != ACTIVE:
        return _encode({"did": did, "active": False, "status": status})
    return _encode({"did": did, "active": True, "rev": views.day.rev(did)})


def get_latest_commit(views: Views, params: Params) -> bytes:
    """com.atproto.sync.getLatestCommit."""
    return _encode(latest_commit(views.day, _synced_repository(views, params)))


def get_repo(views: Views, params: Params) -> bytes:
    """com.atproto.sync.getRepo: the whole of it; `since` is left alone, as servers may."""
    return repository_car(views.day, _synced_repository(views, params))


_METHODS: Final[dict[str, Callable[[Views, Params], bytes]]] = {
    "app.bsky.graph.getStarterPack": get_starter_pack,
    "app.bsky.graph.getStarterPacks": get_starter_packs,
    "app.bsky.graph.getList": get_list,
    "app.bsky.graph.getRelationships": get_relationships,
    "app.bsky.actor.getProfile": get_profile,
    "app.bsky.actor.getProfiles": get_profiles,
    "app.bsky.feed.getAuthorFeed": get_author_feed,
    "app.bsky.feed.getPosts": get_posts,
    "app.bsky.feed.getLikes": get_likes,
    "app.bsky.feed.getRepostedBy": get_reposted_by,
    "app.bsky.feed.getQuotes": get_quotes,
    "app.bsky.feed.getPostThread": get_post_thread,
    "com.atproto.identity.resolveHandle": resolve_handle,
    "com.atproto.repo.listRecords": list_records,
    "com.atproto.repo.getRecord": get_record,
    "com.atproto.sync.getRepoStatus": get_repo_status,
    "com.atproto.sync.getLatestCommit": get_latest_commit,
    "com.atproto.sync.getRepo": get_repo,
}


def _available(views: Views, params: Params) -> Actor:
    actor = views.day.find(_actor(_one(params, "actor"), "actor"))
    if actor is None or not actor.is_available(views.day.now):
        raise _invalid("Profile not found")
    return actor


def _refuse_blocked(views: Views, params: Params, requester: str) -> None:
    actor = _available(views, params)
    for block in views.day.world.blocks:
        if block.created_at <= views.day.now and {block.author, block.subject} == {actor.did, requester}:
            if block.author == requester:
                raise XrpcError(400, "BlockedActor", f"Requester has blocked actor: {actor.did}")
            raise XrpcError(400, "BlockedByActor", f"Requester is blocked by actor: {actor.did}")


def _repository(views: Views, params: Params) -> Actor:
    repo = _one(params, "repo")
    actor = views.day.find(repo)
    if actor is None or not actor.is_available(views.day.now):
        raise _invalid(f"Could not find repo: {repo}")
    return actor


def _synced_repository(views: Views, params: Params) -> str:
    did = _one(params, "did")
    actor = views.day.actors.get(did)
    status = actor.status(views.day.now) if actor else DELETED
    if status == DELETED:
        raise XrpcError(400, "RepoNotFound", f"Could not find repo for DID: {did}")
    if status == DEACTIVATED:
        raise XrpcError(400, "RepoDeactivated", f"Repo has been deactivated: {did}")
    if status != ACTIVE:
        raise XrpcError(400, "RepoTakendown", f"Repo has been takendown: {did}")
    return did


def _record(actor: Actor, stored: Stored) -> Json:
    uri = f"at://{actor.did}/{stored.collection}/{stored.rkey}"
    return {"uri": uri, "cid": stored.cid, "value": record(stored.record)}


def _invalid(message: str) -> XrpcError:
    return XrpcError(400, "InvalidRequest", message)


def _optional(params: Params, name: str) -> str | None:
    values = params.get(name)
    return values[0] if values else None


def _one(params: Params, name: str) -> str:
    value = _optional(params, name)
    if value is None:
        raise _invalid(f'Error: Params must have the property "{name}"')
    return value


def _many(params: Params, name: str, most: int) -> Sequence[str]:
    values = params.get(name)
    if not values:
        raise _invalid(f'Error: Params must have the property "{name}"')
    if len(values) > most:
        raise _invalid(f"Error: {name} must not have more than {most} elements")
    return values


def _limit(params: Params) -> int:
    text = _optional(params, "limit")
    if text is None:
        return 50
    if not re.fullmatch(r"-?\d+", text):
        raise _invalid("Error: limit must be an integer")
    limit = int(text)
    if limit > 100:
        raise _invalid("Error: limit can not be greater than 100")
    if limit < 1:
        raise _invalid("Error: limit can not be less than 1")
    return limit


def _actor(identifier: str, name: str) -> str:
    if not _DID.fullmatch(identifier) and not _HANDLE.fullmatch(identifier):
        raise _invalid(f"Error: {name} must be a valid did or a handle")
    return identifier
