"""Taking the words of deleted posts out of rows: that a post was made, when, and of which kind, stays.

What goes is what its author wrote into it, and its CID, which is a hash of that: so a post that still has one in the
lake has not been forgotten. In others' rows a view of the post, quoted, answered or reposted, keeps its address alone,
and a link to it loses its card. What says that they quoted or answered it is theirs, and stays.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from pipelines.lake.names_in_texts import plainly_written
from pipelines.lake.tables import AUTHOR_FEED, RECORD_CHECKS, REPO_EVENTS, RawTable

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

Row = dict[str, Any]

URI_COLUMNS: Final[Mapping[str, str]] = {
    AUTHOR_FEED.name: "post_uri",
    REPO_EVENTS.name: "uri",
    RECORD_CHECKS.name: "uri",
}
"""Where a row says which post it is of."""

CID_COLUMNS: Final[Mapping[str, str]] = {
    AUTHOR_FEED.name: "post_cid",
    REPO_EVENTS.name: "cid",
    RECORD_CHECKS.name: "cid",
}

POSTS_UNDER_WAY: Final = "forgetting_posts.json"
"""The file in `people/` that names posts whose words are going."""

_WORDS: Final = ("text", "tags", "facets", "link_uri", "link_title", "link_description", "media", "self_labels")
_CARD: Final = ("link_title", "link_description")
_KEPT_OF_A_VIEW: Final = ("$type", "uri", "cid", "notFound", "blocked", "detached")
_KEPT_OF_A_CARD: Final = ("$type", "uri")
_RECORD_KEY: Final = re.compile(r"[A-Za-z0-9._:~-]+")
_LINK: Final = re.compile(r"([^/\s?#&=]+)/(?:post|app\.bsky\.feed\.post)/([A-Za-z0-9._:~-]+)", re.IGNORECASE)
"""Where apps, embeds and mirrors have a post in their addresses, also within another address."""


class DeletedPosts:
    """Takes the words of some deleted posts out of rows.

    Attributes:
        uris: Their at:// URIs.
        pattern: Matches, in DuckDB, all texts that may name one of them. It takes as long for thousands as for one.
    """

    def __init__(self, uris: Collection[str]) -> None:
        """Know the posts by their at:// URIs."""
        self.uris = frozenset(uris)
        self._authors: dict[str, set[str]] = {}
        for uri in self.uris:
            did, _, path = uri.removeprefix("at://").partition("/")
            self._authors.setdefault(path.rpartition("/")[2], set()).add(did)
        self.pattern = "|".join(map(re.escape, sorted(self._authors)))

    def row(self, table: RawTable | None, row: Row) -> Row:
        """Take their words out of a row.

        Args:
            table: Which table's; None for one that is not ours.
            row: Its columns by name.

        Returns:
            The row itself if nothing had to go.
        """
        name = table.name if table else ""
        kept = dict(row)
        is_of_one = row.get(URI_COLUMNS.get(name, "")) in self.uris
        if is_of_one:
            kept |= dict.fromkeys(row.keys() & {*_WORDS, CID_COLUMNS[name]})
        elif self._is_link(row.get("link_uri")):
            kept |= dict.fromkeys(_CARD)
        if row.get("raw"):
            is_all = (is_of_one and row.get("reason_type") is None) or self._is_unreadable_event_of_one(row)
            kept["raw"] = None if is_all else self.json(row["raw"])
        return row if kept == row else kept

    def _is_unreadable_event_of_one(self, row: Row) -> bool:
        raw = row["raw"]
        return row.get("kind") == "unreadable" and any(
            author in raw for key in self._keys_in(raw) for author in self._authors[key]
        )

    def json(self, raw: str) -> str | None:
        """Take their words out of JSON. What stands beside keeps its bytes.

        Returns:
            The JSON; None where it is no JSON and may name one of them.
        """
        if not self._keys_in(raw):
            return raw
        try:
            return self._json(raw.encode()).decode()
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return None

    def _keys_in(self, text: str) -> set[str]:
        # An address within another has a slash before the key that is written `%2F`.
        found = _RECORD_KEY.findall(f"{text} {plainly_written(text)}" if "%" in text else text)
        return self._authors.keys() & set(found)

    def _json(self, raw: bytes) -> bytes:
        begin = raw.lstrip()[:1]
        if begin not in (b"{", b"[") or not self._keys_in(raw.decode()):
            return raw
        if begin == b"[":
            items = [bytes(item) for item in msgspec.json.decode(raw, type=list[msgspec.Raw])]
            kept = [self._json(item) for item in items]
            return raw if kept == items else b"[" + b",".join(kept) + b"]"
        fields = {name: bytes(part) for name, part in msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).items()}
        parts = {name: self._json(part) for name, part in self._without_words(fields).items()}
        if parts == fields:
            return raw
        return b"{" + b",".join(msgspec.json.encode(name) + b":" + part for name, part in parts.items()) + b"}"

    def _without_words(self, fields: Mapping[str, bytes]) -> Mapping[str, bytes]:
        if fields.get("uri", b"").lstrip()[:1] != b'"':
            return fields
        uri = msgspec.json.decode(fields["uri"], type=str)
        if uri in self.uris:
            return {name: fields[name] for name in _KEPT_OF_A_VIEW if name in fields}
        if self._is_link(uri):
            return {name: fields[name] for name in _KEPT_OF_A_CARD if name in fields}
        return fields

    def _is_link(self, address: str | None) -> bool:
        """Tell whether an address leads to one of them. A handle may be any that its author has had."""
        return any(
            key in self._authors and (not author.lower().startswith("did:") or author in self._authors[key])
            for author, key in _LINK.findall(plainly_written(address or ""))
        )
