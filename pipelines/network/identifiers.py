"""Parses links and handles, in every form that people paste, by their syntax alone.

Syntax: https://atproto.com/specs/handle, /specs/did, /specs/record-key, /specs/at-uri-scheme. Link forms:
https://github.com/bluesky-social/social-app, `src/lib/strings/starter-pack.ts`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

from pipelines.network.errors import one_line

Kind = Literal["starter_pack", "list", "actor", "short_link"]

_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HANDLE: Final = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)+[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?", re.ASCII)
_DID: Final = re.compile(r"did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]", re.ASCII)
_RECORD_KEY: Final = re.compile(r"(?!\.\.?\Z)[a-zA-Z0-9_~.:-]{1,512}", re.ASCII)
_SHORT_CODE: Final = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)
# Phones and the Bluesky app put these around handles that are copied.
_INVISIBLE: Final = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")

_FORMS: Final[dict[Kind, str]] = {
    "starter_pack": (
        "https://bsky.app/starter-pack/<handle or DID>/<key>, https://go.bsky.app/<code>"
        " or at://<handle or DID>/app.bsky.graph.starterpack/<key>"
    ),
    "list": "https://bsky.app/profile/<handle or DID>/lists/<key> or at://<handle or DID>/app.bsky.graph.list/<key>",
    "actor": "a handle, @handle, a DID or https://bsky.app/profile/<handle or DID>",
}


class UnrecognizedLink(ValueError):  # noqa: N818 (named as the errors of the network are)
    """A link or handle of an unknown form."""


@dataclass(frozen=True)
class Link:
    """What a link or handle names, before anything is looked up.

    Attributes:
        kind: What it leads to; `short_link` is a starter pack by its code.
        authority: DID, or handle in lower case; empty for a short link.
        key: The record key, or the code of a short link; empty for an actor.
    """

    kind: Kind
    authority: str = ""
    key: str = ""


def read_link(text: str) -> Link | None:
    """Parse a link or handle of any known form; give None for other text."""
    text = _INVISIBLE.sub("", text).strip()
    if "/" not in text:
        return _actor(text)
    if text[:5].lower() == "at://":
        return _parse_at_uri(text[5:])
    return _parse_web_link(text if "://" in text else f"https://{text}")


def parse_link(text: str) -> Link:
    """Parse a link or handle as `read_link` does, and raise an error that lists the forms for other text.

    Raises:
        UnrecognizedLink: The text has an unknown form.
    """
    link = read_link(text)
    if link is None:
        raise UnrecognizedLink(
            f"{_quoted(text)} is no link to a starter pack ({_FORMS['starter_pack']}), no link to a list"
            f" ({_FORMS['list']}) and no actor ({_FORMS['actor']})"
        )
    return link


def expect_kind(kind: Kind, text: str, link: Link | None) -> Link:
    """Give a link back if it leads to what is asked for.

    Args:
        kind: What is asked for.
        text: What a user gave, for the message.
        link: What `read_link` made of it.

    Raises:
        UnrecognizedLink: It leads to something else, or nowhere.
    """
    if link is None or link.kind != kind:
        raise UnrecognizedLink(f"{_quoted(text)} is no {kind.replace('_', ' ')}: use {_FORMS[kind]}")
    return link


def is_did(text: str) -> bool:
    """Tell whether a text is a DID, by its syntax."""
    return len(text) <= 2048 and _DID.fullmatch(text) is not None


def is_handle(text: str) -> bool:
    """Tell whether a text is a handle in small letters, by its syntax."""
    return _HANDLE.fullmatch(text) is not None


def _quoted(text: str) -> str:
    return repr(one_line(text, 100))


def _parse_at_uri(rest: str) -> Link | None:
    parts = re.split(r"[?#]", unquote(rest), maxsplit=1)[0].rstrip("/").split("/")
    match parts:
        case [authority]:
            return _actor(authority)
        case [authority, "app.bsky.graph.starterpack", key]:
            return _record("starter_pack", authority, key)
        case [authority, "app.bsky.graph.list", key]:
            return _record("list", authority, key)
        case _:
            return None


def _parse_web_link(url: str) -> Link | None:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").removeprefix("www.")
    except ValueError:
        return None
    path = [unquote(part) for part in parts.path.strip("/").split("/")]
    match host if parts.scheme in ("http", "https") else "", path:
        case ("go.bsky.app", [code]) | ("bsky.app", ["starter-pack-short", code]):
            return Link("short_link", key=code) if _SHORT_CODE.fullmatch(code) else None
        case "bsky.app", ["starter-pack" | "start", authority, key]:
            return _record("starter_pack", authority, key)
        case "bsky.app", ["profile", authority, "lists", key]:
            return _record("list", authority, key)
        case "bsky.app", ["profile", authority]:
            return _actor(authority)
        case _:
            return None


def _authority(text: str) -> str | None:
    if is_did(text):
        return text
    handle = text.removeprefix("@").lower()
    return handle if is_handle(handle) else None


def _actor(text: str) -> Link | None:
    authority = _authority(unquote(text))
    return Link("actor", authority) if authority else None


def _record(kind: Kind, authority: str, key: str) -> Link | None:
    checked = _authority(authority)
    return Link(kind, checked, key) if checked and _RECORD_KEY.fullmatch(key) else None
