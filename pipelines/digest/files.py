"""The digest's files, which stand beside the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipelines.digest.atom import in_atom
from pipelines.digest.markdown import in_markdown

if TYPE_CHECKING:
    from pipelines.digest.document import Digest

MARKDOWN: Final = "digest.md"
FEED: Final = "digest.xml"
CHAT: Final = "digest.txt"
FILES: Final = (MARKDOWN, FEED, CHAT)


def render_files(digest: Digest) -> dict[str, bytes]:
    """Give what each file holds."""
    return {
        MARKDOWN: in_markdown(digest).encode(),
        FEED: in_atom(digest, FEED),
        CHAT: "".join(f"{line}\n" for line in digest.chat).encode(),
    }
