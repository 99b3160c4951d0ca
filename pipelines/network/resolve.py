"""Resolves links and handles to at:// URIs and DIDs, by asking the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from pipelines.network.identifiers import Link, expect_kind, is_did, read_link

if TYPE_CHECKING:
    from pipelines.network.appview import AppView

STARTER_PACK: Final = "app.bsky.graph.starterpack"
LIST: Final = "app.bsky.graph.list"
SHORT_LINKS: Final = "https://go.bsky.app"


class _ShortLink(msgspec.Struct):
    url: str


def resolve_pack(link: str, appview: AppView, short_links: str = SHORT_LINKS) -> str:
    """Find the starter pack that a link leads to.

    Args:
        link: In any form.
        appview: Resolves the handle, if there is one.
        short_links: The service behind `go.bsky.app`.

    Returns:
        Its at:// URI, with a DID.

    Raises:
        UnrecognizedLink: The link leads to something other than a starter pack.
        NetworkError: The handle or the short link cannot be resolved.
    """
    parsed = read_link(link)
    if parsed and parsed.kind == "short_link":
        client = appview.for_service(short_links)
        target = client.document(f"/{parsed.key}", _short_link_target, endpoint="short link", subject=parsed.key)
        parsed = read_link(target)
    return _record_uri(expect_kind("starter_pack", link, parsed), STARTER_PACK, appview)


def resolve_list(link: str, appview: AppView) -> str:
    """Find the list that a link leads to; see `resolve_pack`."""
    return _record_uri(expect_kind("list", link, read_link(link)), LIST, appview)


def resolve_actor(link: str, appview: AppView) -> str:
    """Find the DID of an actor, from a handle or a link to a profile; see `resolve_pack`."""
    return _did_of(expect_kind("actor", link, read_link(link)).authority, appview)


def _record_uri(link: Link, collection: str, appview: AppView) -> str:
    return f"at://{_did_of(link.authority, appview)}/{collection}/{link.key}"


def _did_of(authority: str, appview: AppView) -> str:
    return authority if is_did(authority) else appview.resolve_handle(authority)


def _short_link_target(body: bytes) -> str:
    return msgspec.json.decode(body, type=_ShortLink).url
