"""Taking a person out of rows: theirs go, others' stay, without what names them or is their word.

The same code reads what is in the lake when somebody is forgotten, and what is about to be written ever after. It goes
by identifiers alone: DIDs, handles, and the addresses that hold one. What stands with an identifier goes with it: a
quoted post, the card of a link, whoever is mentioned. A name without an identifier beside it is anybody's, and stays.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
import pyarrow as pa

from pipelines.lake.names_in_texts import names_at, plainly_written
from pipelines.lake.tables import AUTHOR_FEED, REPO_EVENTS, SOURCE_FILE, SOURCE_ROW, RawTable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from pipelines.lake.names_in_texts import NameInText

FORGOTTEN_DID: Final = "did:web:forgotten.invalid"
"""Stands where a forgotten person's DID stood. Nobody can have it (RFC 2606), and all forgotten people share it."""

FORGOTTEN_HANDLE: Final = "handle.invalid"
FORGOTTEN_URL: Final = "https://forgotten.invalid/"

_TYPE: Final = re.compile(r"[A-Za-z][A-Za-z0-9-]*(?:\.[A-Za-z0-9-]+){2,}(?:#[A-Za-z0-9]+)?")
# Somebody may have the name of one as a handle: `.post` and `.video` are domains. It stands in each record.
_TYPES_OF_THE_PROTOCOL: Final = re.compile(r"(?:app\.bsky|chat\.bsky|com\.atproto|tools\.ozone)\.")
_ESCAPES: Final = re.compile(r"(?:\\u[0-9A-Fa-f]{4})+|\\.", re.DOTALL)
_ADDRESSES: Final = re.compile(r"(?:at|https?)://[^\s\"<>]+", re.IGNORECASE)
_AT_URIS: Final = re.compile(r"(at://[^/]*)(/[^/]*)?(.*)", re.DOTALL)
_DEEPEST: Final = 100
"""Levels of JSON that are read. What the service serves has some twenty."""

_KEPT_IN_A_STUB: Final = ("$type", "did", "handle", "uri")
_KEPT_OF_A_REPOST: Final = frozenset(
    {"member_did", "observed_at", "item_uri", "item_at", "item_indexed_at", "reason_type", "issues", "raw"}
    | {SOURCE_FILE, SOURCE_ROW}
)

Row = dict[str, Any]
Span = tuple[int, int]


def normalized(identifier: str) -> str:
    """Write a DID or a handle in the one form that is compared."""
    return plainly_written(identifier).strip(" \t\r\n-").removeprefix("@").lower()


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
        self._needles = needles
        self._any_needle = re.compile("|".join(map(re.escape, sorted(needles)))) if needles else None

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
                for text in (value, _unescaped(value)) if "\\" in value else (value,):
                    yield from (found.name for found in self._found_in(text))
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
            return FORGOTTEN_DID if normalized(value).startswith("did:") else FORGOTTEN_HANDLE
        if not _ADDRESSES.fullmatch(value):
            return self.text(value)
        uri = _AT_URIS.fullmatch(value)
        if uri is None:
            return FORGOTTEN_URL
        authority, collection, rest = uri.groups(default="")
        if not self._is_theirs(_person_of(authority)):
            return authority + collection + self.text(rest)
        return f"at://{FORGOTTEN_DID}" + (f"{collection}/forgotten" if len(collection) > 1 else "")

    def text(self, text: str, ranges: Iterable[Span] = ()) -> str:
        """Write `_` over whatever names them, as many bytes: offsets of facets count bytes, and stay true.

        Args:
            text: The text.
            ranges: What else to write over, by UTF-8 bytes, e.g. a mention by an older handle.
        """
        written = bytearray(text.encode())
        spans = [(found.begin, found.end) for found in self._found_in(text)]
        # An address that holds an identifier goes as a whole: its path says what they wrote.
        spans += [match.span() for match in _ADDRESSES.finditer(text) if self.finds(match.group())]
        for begin, end in (*ranges, *_in_bytes(text, spans)):
            if 0 <= begin < end <= len(written):
                written[begin:end] = b"_" * (end - begin)
        return written.decode("utf-8", "replace")

    def json(self, raw: str) -> str | None:
        """Take them out of JSON. Values that stand beside keep their bytes; a JSON that names nobody keeps all.

        Returns:
            The JSON; None where it names them and is no JSON, or a deeper one than is read: nobody can tell what of it
            is theirs.
        """
        names = set(self._names_in(raw))
        if not names:
            return raw
        try:
            return self._of(names)._json(raw.encode()).decode()
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return None

    def _json(self, raw: bytes, depth: int = 0) -> bytes:
        if not self._may_be_in(raw):
            return raw
        if depth > _DEEPEST:
            raise RecursionError
        match raw.lstrip()[:1]:
            case b"{":
                return self._object(msgspec.json.decode(raw, type=dict[str, msgspec.Raw]), depth)
            case b"[":
                items = msgspec.json.decode(raw, type=list[msgspec.Raw])
                return b"[" + b",".join(self._json(bytes(item), depth + 1) for item in items) + b"]"
        text = msgspec.json.decode(raw, type=str)
        without = self.value(text)
        return raw if without == text else msgspec.json.encode(without)

    def _may_be_in(self, raw: bytes) -> bool:
        """Tell in no time that most of a JSON names nobody: each level of it is asked of."""
        lower = raw.lower()
        if b"\\" in lower or b"%" in lower or not lower.isascii():
            return True  # They may be there, written in another way.
        return any(needle.encode() in lower for needle in self._needles)

    def _object(self, fields: dict[str, msgspec.Raw], depth: int) -> bytes:
        if any(self._leads_to_them(_string(fields.get(name))) for name in ("did", "uri")):
            fields = {name: fields[name] for name in _KEPT_IN_A_STUB if name in fields}
            if "handle" in fields:
                fields["handle"] = msgspec.Raw(msgspec.json.encode(FORGOTTEN_HANDLE))
        parts = {name: self._field(name, bytes(part), depth) for name, part in fields.items()}
        text = _string(fields.get("text"))
        if text is not None and "facets" in fields:
            parts["text"] = msgspec.json.encode(self.text(text, self._ranges(fields["facets"])))
        return (
            b"{" + b",".join(msgspec.json.encode(self.value(name)) + b":" + part for name, part in parts.items()) + b"}"
        )

    def _field(self, name: str, part: bytes, depth: int) -> bytes:
        text = _string(msgspec.Raw(part)) if name in ("$type", "handle") else None
        if text is not None and name == "$type" and _TYPE.fullmatch(text):
            return part
        if text is not None and name == "handle" and self._is_theirs(normalized(text)):
            return msgspec.json.encode(FORGOTTEN_HANDLE)
        return self._json(part, depth + 1)

    def _leads_to_them(self, value: str | None) -> bool:
        """Tell whether a DID or an at:// URI is theirs, or names them; a collection is nobody's name."""
        uri = _AT_URIS.fullmatch(value or "")
        return self.finds([uri[1], uri[3]] if uri else value)

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
        names = set(self._names_in("\n".join(_written(*column) for column in row.items() if column[1] is not None)))
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
        if kept.get("subject_cid") and self.finds(kept.get("subject_uri")):
            kept["subject_cid"] = None
        if self.finds(kept.get("link_uri")):
            kept |= dict.fromkeys(("link_title", "link_description"))
        if kept.get("text") and self.finds(kept.get("facets")):
            ranges = [
                (facet["byte_start"], facet["byte_end"])
                for facet in kept["facets"]
                if self.finds(facet["value"]) and None not in (facet["byte_start"], facet["byte_end"])
            ]
            kept["text"] = self.text(kept["text"], ranges)
        return {name: self._column(name, value) for name, value in kept.items()}

    def _column(self, name: str, value: Any) -> Any:
        if not value or name == "collection":
            return value
        if name == "raw":
            return self.json(value)
        if name.endswith("handle") and self._is_theirs(normalized(value)):
            return FORGOTTEN_HANDLE
        return self._inner(value)

    def _is_row_theirs(self, table: RawTable, row: Row) -> bool:
        if table is REPO_EVENTS and row["did"] is None:
            return True  # It cannot be read, and names them.
        return any(self._is_theirs(_person_of(row[column])) for column in table.whose if row[column])

    def _is_post_theirs(self, row: Row) -> bool:
        """Tell whether a post is theirs, by its author's DID: their handle may be somebody else's by now."""
        uri, did = row["post_uri"], row["author_did"]
        authors = [_person_of(name) for name in (uri, did) if name]
        return any(map(self._is_theirs, authors)) or (
            did is None and (self._leads_to_them(uri) or self._is_theirs(normalized(row["author_handle"] or "")))
        )

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

    def _found_in(self, text: str) -> Iterator[NameInText]:
        for found in names_at(text, self._any_needle):
            if self._is_theirs(found.name) and (found.is_called or not _TYPES_OF_THE_PROTOCOL.match(found.name)):
                yield found


def _in_bytes(text: str, spans: Sequence[Span]) -> list[Span]:
    """Give spans of characters as spans of UTF-8 bytes."""
    if text.isascii():
        return list(spans)
    offsets, read, size = {}, 0, 0
    for place in sorted({place for span in spans for place in span}):
        size += len(text[read:place].encode())
        offsets[place] = size
        read = place
    return [(offsets[begin], offsets[end]) for begin, end in spans]


def _written(column: str, value: Any) -> str:
    """Write a column as a text in which names are looked for."""
    if column == "collection":
        return ""
    if not isinstance(value, str):
        return repr(value)
    return f"@{value}" if column.endswith("handle") else value


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
    r"""Write out what JSON escapes: letters that it may hold as `\u0041`, and a space for a line's end and the like.

    Without it, the `n` of a line's end would be the first letter of the name behind it.
    """
    return _ESCAPES.sub(_letters, text)


def _letters(escape: re.Match[str]) -> str:
    if not escape.group().startswith("\\u"):
        return " "
    # Two make one letter where it is far out in Unicode.
    codes = bytes.fromhex(escape.group().replace("\\u", ""))
    return codes.decode("utf-16-be", "replace")
