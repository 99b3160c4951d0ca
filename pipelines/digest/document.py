"""What a digest consists of, before it is Markdown or a feed: lines of text and links, by week.

Whoever renders it puts each text through `plain`, so that others' words end no line and hide nothing.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from datetime import date, datetime

_HIDDEN: Final = {"Cc", "Cf", "Cs"}
_ZERO_WIDTH_JOINER: Final = "\u200d"
_NO_CHARACTERS: Final = "\ufffe\uffff"
# Unicode calls them hidden, and yet they show: without them, what reports take for other words may be a name.
_MARKS: Final = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001345f]")


@dataclass(frozen=True)
class Link:
    """A link. It is made by `link`, which knows which addresses may be one.

    Attributes:
        text: Anybody's words.
        url: ASCII, without blanks, quotes, brackets and whatever else ends an address in Markdown or HTML.
    """

    text: str
    url: str


Line = tuple[str | Link, ...]


@dataclass(frozen=True)
class Section:
    """Some lines under a heading of ours."""

    heading: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Week:
    """One week.

    Attributes:
        monday: When the ISO week began whose digest it is.
        until: Up to when it tells.
        title: Ours.
        sections: Those that have lines.
    """

    monday: date
    until: datetime
    title: str
    sections: tuple[Section, ...]


@dataclass(frozen=True)
class Digest:
    """What is told.

    Attributes:
        lake: Whose it is: stays the same for as long as the lake does.
        title: The packs' names.
        weeks: The newest first. None if nothing has been pulled.
        chat: What a chat is told, in lines without anybody's words.
    """

    lake: str
    title: str
    weeks: tuple[Week, ...] = ()
    chat: tuple[str, ...] = ()


def plain(text: str) -> str:
    """Write anybody's words in one line, without controls, overrides of direction and what shows nothing.

    What joins emoji to one stays. XML can hold all that is left.
    """
    return "".join(
        " " if char.isspace() or char in _NO_CHARACTERS else char
        for char in text
        if char.isspace()
        or char == _ZERO_WIDTH_JOINER
        or _MARKS.match(char)
        or unicodedata.category(char) not in _HIDDEN
    )


def link(text: str, url: str) -> str | Link:
    """Make a link, where the address is one of the web; else the text alone."""
    if not url.lower().startswith(("https://", "http://")):
        return text
    return Link(text, quote(url, safe="/:?#@!$&'*+,;=%~", errors="replace"))
