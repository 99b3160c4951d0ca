"""The digest as Markdown: nobody's words make a heading, a link, an image, a mention or HTML."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from pipelines.digest.document import Link, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.digest.document import Digest, Line

_MEANS_SOMETHING: Final = re.compile(
    r"[#$&*<>@\[\\\]_`|~]"
    r"|[.:](?=\S)"  # of an address
    r"|(?<![^ ])[-+]|(?<=\d)[.)](?= |$)"  # of a list, or a line across the page
)

_NO_MENTION: Final = "@\u200b"
"""Services look for mentions and addresses in what Markdown shows, so that a backslash does not keep them from it."""


def in_markdown(digest: Digest) -> str:
    """Write the newest week."""
    return "\n".join(_lines(digest)) + "\n"


def _lines(digest: Digest) -> Iterator[str]:
    yield f"# {escaped(digest.title)}"
    if not digest.weeks:
        yield from ("", "Nothing has been pulled yet.")
        return
    yield from ("", f"{digest.weeks[0].title}.")
    for section in digest.weeks[0].sections:
        yield from ("", f"## {section.heading}", "")
        for line in section.lines:
            yield f"- {_in_line(line)}"


def _in_line(line: Line) -> str:
    return "".join(
        f"[{escaped(part.text)}]({part.url.replace('&', '&amp;')})" if isinstance(part, Link) else escaped(part)
        for part in line
    )


def escaped(text: str) -> str:
    """Write anybody's words so that Markdown finds nothing in them, nor GitHub, Discord or Mattermost behind it."""
    return _MEANS_SOMETHING.sub(r"\\\g<0>", plain(text)).replace("@", _NO_MENTION)
