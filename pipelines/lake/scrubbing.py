"""Taking a person out of rows: theirs go, others' stay, without what names them or is their word.

The same code reads what is in the lake when somebody is forgotten, and what is about to be written ever after. It goes
by identifiers alone: DIDs, handles, and the addresses that hold one. What stands with an identifier goes with it: a
quoted post, the card of a link, whoever is mentioned. A name without an identifier beside it is anybody's, and stays.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
import pyarrow as pa

from pipelines.lake.tables import AUTHOR_FEED, REPO_EVENTS, RawTable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

FORGOTTEN_DID: Final = "did:web:forgotten.invalid"
"""Stands where a forgotten person's DID stood. Nobody can have it (RFC 2606), and all forgotten people share it."""

FORGOTTEN_HANDLE: Final = "handle.invalid"
FORGOTTEN_URL: Final = "https://forgotten.invalid/"

_COLON: Final = "(?::|%(?:25){0,3}3[Aa])"
_ENCODED_COLON: Final = re.compile(r"%(?:25){0,3}3a")
_DIDS: Final = re.compile(
    rf"did{_COLON}(?:plc{_COLON}[a-z2-7]{{24}}|[a-z]+{_COLON}(?:[A-Za-z0-9._:-]|%[0-9A-Fa-f]{{2}})*[A-Za-z0-9_-])"
)
# From where a word begins: from each of its letters, a long one without a dot would be read to its end.
_NAMES: Final = re.compile(r"(?<![A-Za-z0-9-])[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
# Behind what is written with a percent sign, as in an address within another, where that may be so twice.
_NAMES_IN_ADDRESSES: Final = re.compile(r"%(?:25){0,3}[0-9A-Fa-f]{2}([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)")
# All characters that stand in a DID, a handle or a word.
_IN_NAMES: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:%-")
_REST_OF_NAME: Final = re.compile(r"[A-Za-z0-9._:%-]*")
_WORDS: Final = re.compile(r"[A-Za-z0-9.%-]+")
_ESCAPES: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|.)", re.DOTALL)
_MOST_WORDS_REMEMBERED: Final = 200_000
_ADDRESSES: Final = re.compile(r"(?:at|https?)://[^\s\"<>]+", re.IGNORECASE)
_KEPT_IN_A_STUB: Final = ("$type", "did", "handle", "uri")
_KEPT_OF_A_REPOST: Final = frozenset(
    {"member_did", "observed_at", "item_uri", "item_at", "item_indexed_at", "reason_type", "issues", "raw"}
)

Row = dict[str, Any]
Span = tuple[int, int]


def normalized(identifier: str) -> str:
    """Write a DID or a handle in the one form that is compared."""
    bare = identifier.strip(" \t\r\n-").removeprefix("@").lower()
    if "%" in bare:
        bare = _ENCODED_COLON.sub(":", bare)
    return bare.removeprefix("www.")


class Scrubber:
    """Takes people out of texts, JSON and rows."""

    def __init__(self, is_theirs: Callable[[str], bool], needles: Collection[str] = ()) -> None:
        """Know whom to take out.

        Args:
            is_theirs: Tells whether a normalized DID or handle is one of theirs.
            needles: If given, one of these is in all texts, in lower case, that hold such a one: most texts need no
                other look.
        """
        self._is_theirs = is_theirs
        self._needles = re.compile("|".join(map(re.escape, sorted(needles)))) if needles else None
        self._names_in_word = lru_cache(_MOST_WORDS_REMEMBERED)(self._find_in_word)

    @classmethod
    def of(cls, identifiers: Collection[str]) -> Scrubber:
        """Take out somebody whose normalized DID and handles are known."""
        known = frozenset(identifiers)
        # What is behind the last colon: a colon may be written as %3A.
        return cls(known.__contains__, {name.rpartition(":")[2] for name in known})

    def _of(self, names: Collection[str]) -> Scrubber:
        """Give one that reads little where these are all names that there are: itself, if it is such a one."""
        return self if self._needles else Scrubber.of(names)

    def finds(self, value: object) -> bool:
        """Tell whether anything in a value, at whatever depth, names one of them."""
        return next(self._names_in(value), None) is not None

    def _names_in(self, value: object) -> Iterator[str]:
        match value:
            case str():
                yield from self._names_in_text(value)
                if "\\" in value:
                    yield from self._names_in_text(_unescaped(value))
            case dict():
                for key, inner in value.items():
                    yield from self._names_in(key)
                    yield from self._names_in(inner)
            case list() | tuple():
                for inner in value:
                    yield from self._names_in(inner)

    def value(self, value: str) -> str:
        """Take them out of a value that is an identifier, an address or a text."""
        if not self.finds(value):
            return value
        if self._is_theirs(normalized(value)):
            return FORGOTTEN_DID if _DIDS.fullmatch(value) else FORGOTTEN_HANDLE
        if not _ADDRESSES.fullmatch(value):
            return self.text(value)
        authority, _, path = value.removeprefix("at://").partition("/")
        if not value.startswith("at://"):
            return FORGOTTEN_URL
        if not self._is_theirs(normalized(authority)):
            return self.text(value)
        collection = path.partition("/")[0]
        return f"at://{FORGOTTEN_DID}" + (f"/{collection}/forgotten" if collection else "")

    def text(self, text: str, ranges: Iterable[Span] = ()) -> str:
        """Write `_` over whatever names them, as many bytes: offsets of facets count bytes, and stay true.

        Args:
            text: The text.
            ranges: What else to write over, by UTF-8 bytes, e.g. a mention by an older handle.
        """
        written = bytearray(text.encode())
        spans = self._identifiers(text)
        # An address that holds an identifier goes as a whole: its path says what they wrote.
        spans += [match.span() for match in _ADDRESSES.finditer(text) if self.finds(match.group())]
        in_bytes = [(len(text[:begin].encode()), len(text[:end].encode())) for begin, end in spans]
        for begin, end in (*ranges, *in_bytes):
            if 0 <= begin < end <= len(written):
                written[begin:end] = b"_" * (end - begin)
        return written.decode("utf-8", "replace")

    def json(self, raw: str) -> str | None:
        """Take them out of JSON. What stands beside keeps its bytes.

        Returns:
            The JSON; None where it is no JSON and names them: nobody can tell what of it is theirs.
        """
        names = set(self._names_in(raw))
        if not names:
            return raw
        try:
            return self._of(names)._json(raw.encode()).decode()
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return None

    def _json(self, raw: bytes) -> bytes:
        if not self.finds(raw.decode()):
            return raw
        match raw.lstrip()[:1]:
            case b"{":
                return self._object(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]))
            case b"[":
                items = msgspec.json.decode(raw, type=list[msgspec.Raw])
                return b"[" + b",".join(self._json(bytes(item)) for item in items) + b"]"
        return msgspec.json.encode(self.value(msgspec.json.decode(raw, type=str)))

    def _object(self, fields: dict[str, msgspec.Raw]) -> bytes:
        texts = {name: _string(fields[name]) for name in ("did", "uri") if name in fields}
        if any(text and self.finds(text) for text in texts.values()):
            fields = {name: fields[name] for name in _KEPT_IN_A_STUB if name in fields}
            if "handle" in fields:
                fields["handle"] = msgspec.Raw(msgspec.json.encode(FORGOTTEN_HANDLE))
        parts = {name: self._json(bytes(part)) for name, part in fields.items()}
        text = _string(fields.get("text"))
        if text is not None and "facets" in fields:
            parts["text"] = msgspec.json.encode(self.text(text, self._ranges(fields["facets"])))
        return (
            b"{" + b",".join(msgspec.json.encode(self.value(name)) + b":" + part for name, part in parts.items()) + b"}"
        )

    def _ranges(self, facets: msgspec.Raw) -> list[Span]:
        """Name the parts of a text that mention them, or lead to them, whatever they say."""
        found = msgspec.json.decode(facets)
        ranges = []
        for facet in found if isinstance(found, list) else ():
            index = facet.get("index") if isinstance(facet, dict) else None
            if isinstance(index, dict) and self.finds(facet.get("features")):
                begin, end = index.get("byteStart"), index.get("byteEnd")
                if isinstance(begin, int) and isinstance(end, int):
                    ranges.append((begin, end))
        return ranges

    def row(self, table: RawTable | None, row: Row) -> Row | None:
        """Take them out of a row.

        Args:
            table: Which table's; None for one that is not ours.
            row: Its columns by name.

        Returns:
            The row; None if it is theirs.
        """
        # All of a row is read at once: of most, nothing has to be taken apart.
        texts = (value if isinstance(value, str) else repr(value) for value in row.values() if value is not None)
        names = set(self._names_in("\n".join(texts)))
        if not names:
            return row
        return self._of(names)._row(table, row)

    def _row(self, table: RawTable | None, row: Row) -> Row | None:
        if table is not None and self._is_row_theirs(table, row):
            return None
        kept = dict(row)
        if table is AUTHOR_FEED and self._is_post_theirs(row):
            # Somebody's repost of their post: that it was made is the reposter's.
            theirs = kept.keys() - _KEPT_OF_A_REPOST - {"_dlt_load_id", "_dlt_id"}
            kept |= dict.fromkeys(theirs) | {"author_did": FORGOTTEN_DID, "post_uri": self.value(row["post_uri"] or "")}
            kept["post_uri"] = kept["post_uri"] or None
        if self.finds(kept.get("link_uri")):
            kept |= dict.fromkeys(("link_title", "link_description"))
        if kept.get("text") and self.finds(kept.get("facets")):
            ranges = [
                (facet["byte_start"], facet["byte_end"])
                for facet in kept["facets"]
                if self.finds(facet["value"]) and None not in (facet["byte_start"], facet["byte_end"])
            ]
            kept["text"] = self.text(kept["text"], ranges)
        return {
            name: self.json(value) if name == "raw" and value else self._inner(value) for name, value in kept.items()
        }

    def _is_row_theirs(self, table: RawTable, row: Row) -> bool:
        if table is REPO_EVENTS and row["did"] is None:
            return True  # It cannot be read, and names them.
        return any(self._is_theirs(_person_of(row[column])) for column in table.whose if row[column])

    def _is_post_theirs(self, row: Row) -> bool:
        """Tell whether a post is theirs, by its author's DID: their handle may be somebody else's by now."""
        uri, did = row["post_uri"], row["author_did"]
        authors = [_person_of(name) for name in (uri, did) if name]
        return any(map(self._is_theirs, authors)) or (did is None and self.finds([uri, row["author_handle"]]))

    def _inner(self, value: Any) -> Any:
        match value:
            case str():
                return self.value(value)
            case dict():
                return {key: self._inner(inner) for key, inner in value.items()}
            case list() | tuple():
                return [self._inner(inner) for inner in value]
        return value

    def table(self, table: RawTable | None, rows: pa.Table) -> pa.Table:
        """Take them out of rows of the lake.

        Args:
            table: Which table they are of; None for one that is not ours.
            rows: Some of its rows.

        Returns:
            The rows that stay, in their order, with the schema that they had.
        """
        kept = [row for row in (self.row(table, row) for row in rows.to_pylist()) if row is not None]
        return table_of(kept, rows.schema)

    def _names_in_text(self, text: str) -> Iterator[str]:
        text = self._near_needles(text)
        if not text:
            return
        yield from filter(self._is_theirs, map(normalized, set(_DIDS.findall(text))))
        # Addresses and types come again and again: each is taken apart once.
        for word in set(_WORDS.findall(text)):
            if "." in word:
                yield from self._names_in_word(word)

    def _near_needles(self, text: str) -> str:
        """Give what of a text has to be read: no name reaches beyond the characters that names are made of."""
        if self._needles is None:
            return text
        lower = text.lower()
        if len(lower) != len(text):  # A Turkish İ becomes two characters: what is behind it has another place.
            return text if self._needles.search(lower) else ""
        parts, end = [], 0
        for needle in self._needles.finditer(lower):
            if needle.start() < end:
                continue
            begin = needle.start()
            while begin and text[begin - 1] in _IN_NAMES:
                begin -= 1
            rest = _REST_OF_NAME.match(text, needle.end())
            end = rest.end() if rest else needle.end()
            parts.append(text[begin:end])
        return " ".join(parts)

    def _find_in_word(self, word: str) -> tuple[str, ...]:
        names = _NAMES.findall(word) + (_NAMES_IN_ADDRESSES.findall(word) if "%" in word else [])
        return tuple(filter(self._is_theirs, map(normalized, names)))

    def _identifiers(self, text: str) -> list[Span]:
        matches = (match for form in (_DIDS, _NAMES, _NAMES_IN_ADDRESSES) for match in form.finditer(text))
        spans = ((match.group(match.re.groups), match.span(match.re.groups)) for match in matches)
        return [span for name, span in spans if self._is_theirs(normalized(name))]


def table_of(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    """Put rows into an Arrow table of a schema; columns that a row lacks are null."""
    items = cast("pa.StructArray", pa.array(rows, type=pa.struct(list(schema))))
    return pa.Table.from_arrays(items.flatten(), schema=schema)


def _person_of(value: str) -> str:
    """Give the DID, or the handle, that a DID or an at:// URI begins with."""
    return normalized(value.removeprefix("at://").partition("/")[0])


def _string(raw: msgspec.Raw | None) -> str | None:
    if raw is None or bytes(raw).lstrip()[:1] != b'"':
        return None
    return msgspec.json.decode(raw, type=str)


def _unescaped(text: str) -> str:
    r"""Write out what JSON may escape: ASCII, which it may hold as `\u0041`, and a space for all that is in no name.

    Without it, the `n` of a line's end would be the first letter of the name behind it.
    """
    return _ESCAPES.sub(_character, text)


def _character(escape: re.Match[str]) -> str:
    code = int(escape.group(1) or "20", 16)
    return chr(code) if code < 0x80 else " "
