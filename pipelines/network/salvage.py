"""Reading a page that a JSON decoder refuses, item by item.

A single bad item (half of a surrogate pair, a number like `NaN`) makes a decoder refuse the whole page. Brackets and
strings are enough to tell where each item begins and ends, so the others can be kept, and the bad one by its bytes.
A page that was cut off, or damaged in its brackets, gives the items before the damage.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},:]', re.DOTALL)
_CLOSING: Final = {b"[": b"]", b"{": b"}"}


@dataclass(frozen=True)
class Container:
    """The direct content of a JSON object or array.

    Attributes:
        parts: The bytes between its brackets, split at its own commas: elements, or members (`"key": value`).
        is_whole: Whether its closing bracket was found, with nothing behind it.
    """

    parts: list[bytes]
    is_whole: bool


def split_container(text: bytes) -> Container | None:
    """Split an object or array by brackets and strings alone.

    Returns:
        None if the text is neither.
    """
    text = text.strip()
    if text[:1] not in _CLOSING:
        return None
    parts: list[bytes] = []
    open_brackets: list[bytes] = []
    begin = 1
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in _CLOSING:
            open_brackets.append(_CLOSING[mark])
        elif mark in (b"]", b"}"):
            if open_brackets.pop() != mark:
                return Container(parts, is_whole=False)
            if not open_brackets:
                if last := text[begin : token.start()].strip():
                    parts.append(last)
                return Container(parts, is_whole=token.end() == len(text))
        elif mark == b"," and len(open_brackets) == 1:
            parts.append(text[begin : token.start()].strip())
            begin = token.end()
    # Cut off: what follows the last comma has no end, unless it is an object that is closed.
    last = text[begin:].strip()
    if len(open_brackets) == 1 and last.endswith((b"}", b"]")):
        parts.append(last)
        last = b""
    return Container([*parts, last] if last and text[:1] == b"{" else parts, is_whole=False)


def members(text: bytes) -> dict[str, bytes]:
    """Give the values of an object's members by key, each as the bytes it was written with."""
    container = split_container(text) if text.strip().startswith(b"{") else None
    found: dict[str, bytes] = {}
    for member in container.parts if container else []:
        key = _TOKEN.match(member)
        if key and key[0].startswith(b'"'):
            rest = member[key.end() :].lstrip()
            if rest.startswith(b":"):
                found[key[0][1:-1].decode(errors="replace")] = rest[1:].lstrip()
    return found


def objects_of(text: bytes) -> list[bytes]:
    """Give the elements of an array that are objects, each as the bytes it was written with."""
    container = split_container(text) if text.strip().startswith(b"[") else None
    return [part for part in (container.parts if container else []) if part.startswith(b"{") and part.endswith(b"}")]
