"""Reads a page that a JSON decoder refuses, item by item.

A single bad item (half of a surrogate pair, a number like `NaN`) makes a decoder refuse the whole page. Brackets and
strings tell where each item begins and ends, so that the others can be read, and the bad one kept as bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import msgspec

from pipelines.network.paging import MOST_ITEMS, read_cursor

# A string ends with the text if it is cut off. Nothing is given back, so that each byte is looked at once.
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.?)*+"?|[\[\]{},]', re.DOTALL)
_CLOSING: Final = {b"[": b"]", b"{": b"}"}


@dataclass(frozen=True)
class Container:
    """The direct content of a JSON object or array.

    Attributes:
        parts: The bytes between its brackets, split at its own commas: elements, or members (`"key": value`). Where it
            is cut off, the last one may be incomplete.
        is_whole: Whether the text ends with its closing bracket.
    """

    parts: list[bytes]
    is_whole: bool


def split_container(text: bytes, most: int | None = None) -> Container | None:
    """Split an object or array by brackets and strings alone.

    Args:
        text: The text.
        most: Parts that it may have; None for any number.

    Returns:
        None if the text is neither, or has more parts.
    """
    text = text.strip()
    if text[:1] not in _CLOSING:
        return None
    parts: list[bytes] = []
    open_brackets: list[bytes] = []
    begin, end, is_whole = 1, len(text), False
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in _CLOSING:
            open_brackets.append(_CLOSING[mark])
        elif mark in (b"]", b"}"):
            if open_brackets.pop() != mark:
                break
            if not open_brackets:
                end, is_whole = token.start(), token.end() == len(text)
                break
        elif mark == b"," and len(open_brackets) == 1:
            parts.append(text[begin : token.start()].strip())
            begin = token.end()
            if len(parts) == most:
                return None
    last = text[begin:end].strip()
    return Container([*parts, last] if last else parts, is_whole)


def members(text: bytes) -> dict[str, bytes]:
    """Give the values of an object's members by key, each as the bytes it was written with."""
    container = split_container(text) if text.strip().startswith(b"{") else None
    return _members_of(container) if container else {}


def _members_of(container: Container) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for member in container.parts:
        key = _TOKEN.match(member)
        if key and key[0].startswith(b'"'):
            rest = member[key.end() :].lstrip()
            if rest.startswith(b":"):
                found[key[0][1:-1].decode(errors="replace")] = rest[1:].lstrip()
    return found


def whole_members(text: bytes) -> dict[str, bytes]:
    """Give the members of an object as `members` does, if it is whole."""
    container = split_container(text)
    return members(text) if container and container.is_whole else {}


@dataclass(frozen=True)
class SavedPage:
    """The readable part of a page.

    Attributes:
        items: Its items, by their bytes. Of a page that is whole, all that are objects; of one that is cut off or
            damaged between its items, those that are in order.
        cursor: Where the next page begins.
        is_cursor_broken: Whether the next page cannot be asked for.
    """

    items: list[msgspec.Raw]
    cursor: str | None
    is_cursor_broken: bool


def save_page(body: bytes, key: str) -> SavedPage | None:
    """Read the readable part of a page.

    Args:
        body: The page.
        key: The name of its list.

    Returns:
        None if nothing is readable, or there are more items than a page may have.
    """
    page = split_container(body)
    parts = _members_of(page) if page and body.lstrip().startswith(b"{") else {}
    listed = split_container(parts.get(key, b""), MOST_ITEMS)
    if page is None or listed is None:
        return None
    items = [part for part in listed.parts if part.startswith(b"{") and part.endswith(b"}")]
    if page.is_whole and listed.is_whole and len(items) == len(listed.parts):
        return SavedPage([msgspec.Raw(item) for item in items], *read_cursor(msgspec.Raw(parts.get("cursor", b""))))
    readable = [msgspec.Raw(item) for item in items if _is_json(item)]
    return SavedPage(readable, None, is_cursor_broken=True) if readable else None


def _is_json(text: bytes) -> bool:
    try:
        msgspec.json.decode(text)
    except (ValueError, RecursionError):
        return False
    return True
