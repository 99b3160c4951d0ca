"""Reads whom a text names, in every way in which people write somebody's name down, by its syntax alone."""

from __future__ import annotations

import re
import unicodedata
from typing import Final
from urllib.parse import unquote, urlsplit

from pipelines.network.identifiers import is_did, is_handle

_BRACKETS_AND_QUOTES: Final = "'\"`´‘’‚“”„«»‹›<>()[]{}"  # noqa: RUF001  (editors put the curly ones there)
_MARKUP: Final = "*_~ \t\r\n"
_AFTER: Final = ".,;:!?/\\|"
_DOTS: Final = str.maketrans("。．｡", "...")  # noqa: RUF001  (what domain names take for a full stop)
# The methods that the network knows (https://atproto.com/specs/did); neither has capitals.
_PLC: Final = re.compile(r"did:plc:[a-z2-7]{24}", re.ASCII)
_WEB: Final = "did:web:"


def names_in(text: str) -> list[str]:
    """Split a text into the words that should each name somebody: at white space, commas and semicolons.

    What is left of a list's own brackets and quotes is no word.
    """
    words = (word.strip(_BRACKETS_AND_QUOTES) for word in re.split(r"[\s,;]+", _visible(text)))
    return [word for word in words if word]


def person_named(word: str) -> str | None:
    """Tell whom a word names.

    Args:
        word: A handle, with or without `@`; a DID; an `at://` URI; or a link to a profile or to something of theirs.

    Returns:
        A DID, or a handle in small letters. None where it is not certain that it names one person, so that whoever
        asks can refuse it: a DID that lacks a character is nobody's.
    """
    bare = _bare(_visible(word))
    scheme, separator, rest = bare.partition("://")
    if separator and scheme.lower() == "at":
        return _actor(re.split(r"[/?#]", rest, maxsplit=1)[0])
    if "/" in bare or "?" in bare:
        return _actor_in_link(bare if separator else f"https://{bare.lstrip('/')}")
    return _actor(bare)


def _visible(text: str) -> str:
    """Leave out what nobody sees, and write full-width characters as the usual ones."""
    plain = unicodedata.normalize("NFKC", text).translate(_DOTS)
    return "".join(char for char in plain if char.isspace() or unicodedata.category(char) not in {"Cf", "Cc"})


def _bare(word: str) -> str:
    before = None
    while before != word:
        before, word = word, word.strip(_BRACKETS_AND_QUOTES + _MARKUP).rstrip(_AFTER)
    return word


def _actor_in_link(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        is_plain = parts.scheme.lower() in {"http", "https"} and parts.username is None and parts.port is None
    except ValueError:
        return None
    if not is_plain:
        return None
    match [part for part in parts.path.split("/") if part]:
        case []:  # A handle is a domain, and its website is often linked in its place.
            return _actor(parts.hostname or "")
        case [page, actor, *_] if page.lower() == "profile":
            return _actor(_bare(actor))
        case [did, *_] if did[:4].lower() == "did:":  # The directory of DIDs.
            return _actor(did)
    return None


def _actor(text: str) -> str | None:
    for written in (text, unquote(text)):
        actor = _bare(written).lstrip("@").lower()
        if _PLC.fullmatch(actor) or (actor.startswith(_WEB) and is_did(actor)) or is_handle(actor):
            return actor
    return None
