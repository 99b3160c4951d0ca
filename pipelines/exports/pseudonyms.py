"""Other names for people, in all that an export says of them.

A name is an HMAC-SHA-256 of a DID under a secret salt, so that two exports by one salt agree, and nobody without the
salt can try a guess. Handles and display names become the name of whoever has them; keys and hashes of records, by
which a post could be looked up, become others. What somebody says of themself (description, links, picture) is left
empty.

Words stay, and words can be searched for: see PRIVACY.md for what this cannot promise.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import re
import secrets
import tempfile
from collections import defaultdict
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.exports.columns import Meaning
from pipelines.exports.marts import ExportError
from pipelines.lake.names_in_texts import names_at
from pipelines.lake.scrubbing import normalized

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    import duckdb

    from pipelines.exports.columns import Column

_PEOPLE: Final = """
select did, handle, display_name from dim_authors
union
select did, handle, null from int_handle_spans
union
select did, handle, display_name from stg_bluesky__profiles
union
select did, handle, display_name from stg_bluesky__starter_pack_members
union
select creator_did, creator_handle, null from stg_bluesky__starter_packs
union
select author_did, author_handle, author_display_name from int_posts
union
select null, ltrim(withheld_name, '@'), null from int_withheld_names
order by all
"""

_NO_NAMES: Final = frozenset({"", "handle.invalid"})
_DID: Final = re.compile(r"did(?::|%(?:25)*3a)", re.IGNORECASE)
_TYPES_OF_THE_PROTOCOL: Final = re.compile(r"(?:app\.bsky|chat\.bsky|com\.atproto|tools\.ozone)\.")
_KEY_OF_DID: Final = re.compile(r"(?<![A-Za-z0-9])[a-z2-7]{24}(?![A-Za-z0-9])", re.IGNORECASE)
_RECORDS: Final = re.compile(
    r"(at://|/(?:profile|start|starter-pack)/)([^\s/\"'<>?#]+)(?:((?:/[A-Za-z][A-Za-z.-]*)?/)([A-Za-z0-9._:~-]+))?",
    re.IGNORECASE,
)
_ENCODED: Final = re.compile(r"\S*%[0-9A-Fa-f]{2}\S*")
_WORD: Final = re.compile(r"\w+")
# Scripts that write words without spaces: Thai to Khmer, kana, Han, Hangul.
_UNSPACED: Final = re.compile("[\u0e00-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
# As dbt's macro `names_in` reads them: other dots are dots, and what has no width is nothing.
_WRITTEN_OTHERWISE: Final = {
    **dict.fromkeys(map(ord, "。．｡․"), "."),  # noqa: RUF001
    **dict.fromkeys([0xAD, 0x34F, *range(0x180B, 0x1810), *range(0x200B, 0x2010), *range(0x202A, 0x202F)]),
    **dict.fromkeys([*range(0x2060, 0x2070), *range(0xFE00, 0xFE10), 0xFEFF, *range(0xE0000, 0xE0080)]),
}
_MOST_REMEMBERED: Final = 100_000
_SHORTEST_SALT: Final = 16


def read_salt(file: Path) -> bytes:
    """Read the salt of pseudonyms from a file that its owner alone may read; it is made if it is not there.

    Args:
        file: Beside the warehouse, which nobody but its owner should have either.

    Raises:
        ExportError: What is there is too short to be a secret.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        # Whole or not at all, and never over another's.
        with tempfile.NamedTemporaryFile(dir=file.parent) as unfinished:
            unfinished.write(secrets.token_hex(32).encode() + b"\n")
            unfinished.flush()
            with suppress(FileExistsError):
                os.link(unfinished.name, file)
    return expect_secret(file.read_bytes().strip(), str(file))


def expect_secret(salt: bytes, place: str) -> bytes:
    """Give a salt that nobody can guess.

    Raises:
        ExportError: It is too short.
    """
    if len(salt) < _SHORTEST_SALT:
        raise ExportError(f"The salt in {place} is too short to be a secret: write 64 hex digits, or take it away.")
    return salt


class Pseudonyms:
    """Gives people other names."""

    def __init__(self, salt: bytes, people: Iterable[tuple[str | None, str | None, str | None]]) -> None:
        """Know who is called what.

        Args:
            salt: The secret.
            people: DID, handle and display name, as often as somebody was seen with others. Of somebody without a DID
                the handle, or the DID, is known alone.
        """
        self._salt = salt
        self._did_of: dict[str, str] = {}
        named: dict[tuple[str, ...], set[str]] = defaultdict(set)
        unspaced: dict[str, set[str]] = defaultdict(set)
        keys = set()
        for did, handle, display_name in people:
            known = (handle or "").lower()
            person = did or known
            if known not in _NO_NAMES:
                self._did_of.setdefault(known, person)
            keys.add(person.rpartition(":")[2].lower())
            words = tuple(_WORD.findall((display_name or "").translate(_WRITTEN_OTHERWISE)))
            if len("".join(words)) < 2:
                continue
            if _UNSPACED.search(display_name or ""):
                unspaced[(display_name or "").strip()].add(person)
            named[_compared(words)].add(person)
        self._keys = keys
        self._named = {words: self._name_of(persons, " ".join(words)) for words, persons in named.items()}
        lengths: dict[str, set[int]] = defaultdict(set)
        for words in named:
            lengths[words[0].casefold()].add(len(words))
        self._lengths = {word: sorted(counts, reverse=True) for word, counts in lengths.items()}
        self._unspaced = {name: self._name_of(persons, name) for name, persons in unspaced.items()}
        longest_first = sorted(self._unspaced, key=len, reverse=True)
        self._any_unspaced = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")
        self.words = lru_cache(_MOST_REMEMBERED)(self._words)
        self.person = lru_cache(_MOST_REMEMBERED)(self._person)

    @classmethod
    def of(cls, marts: duckdb.DuckDBPyConnection, salt: bytes) -> Pseudonyms:
        """Know everybody whom a warehouse knows by any name."""
        return cls(salt, marts.execute(_PEOPLE).fetchall())

    def _name_of(self, persons: set[str], name: str) -> str:
        return self._person(next(iter(persons))) if len(persons) == 1 else self._named_by("name", name)

    def _named_by(self, kind: str, value: str) -> str:
        digest = hmac.digest(self._salt, f"{kind}:{value}".encode(), hashlib.sha256)
        return f"{kind}-{base64.b32encode(digest[:10]).decode().lower()}"

    def _person(self, identifier: str) -> str:
        """Give the name of whoever has a DID or a handle."""
        bare = normalized(identifier)
        return self._named_by("person", self._did_of.get(bare, bare))

    def record(self, uri: str) -> str:
        """Give another URI to a record; other text is taken for somebody's words."""
        found = _RECORDS.fullmatch(uri)
        return self._record(found) if found else self.words(uri)

    def _record(self, found: re.Match[str]) -> str:
        before, authority, between, key = found.groups()
        if not _DID.match(authority) and "." not in authority:
            return found[0]  # No person's, or one who has another name already.
        person = self.person(authority)
        return f"{before}{person}" + (f"{between}{self._named_by('record', f'{person}/{key}')}" if key else "")

    def _words(self, text: str) -> str:
        """Take people's names out of a text, wherever and however they are written in it."""
        plain = text.translate(_WRITTEN_OTHERWISE)
        if "%" in plain:
            plain = _ENCODED.sub(self._decoded, plain)
        return self._plain(plain)

    def _decoded(self, found: re.Match[str]) -> str:
        decoded = unquote(unquote(found[0]))
        return decoded if self._plain(decoded) != decoded else found[0]

    def _plain(self, text: str) -> str:
        text = self.identifiers(text)
        text = self._any_unspaced.sub(lambda found: self._unspaced[found[0]], text)
        return self._without_display_names(text)

    def identifiers(self, text: str) -> str:
        """Take DIDs and handles out of a text."""
        if "/" in text:
            text = _RECORDS.sub(self._record, text)
        text = self._without_names(text)
        return _KEY_OF_DID.sub(self._without_key, text)

    def _without_key(self, found: re.Match[str]) -> str:
        key = found[0].lower()
        return self.person(f"did:plc:{key}") if key in self._keys else found[0]

    def _without_names(self, text: str) -> str:
        parts, end = [], 0
        # Of several readings of one word, the longest that is somebody's.
        for found in sorted(names_at(text), key=lambda found: (found.begin, -found.end)):
            if found.begin < end:
                continue
            is_known = found.name in self._did_of and not _TYPES_OF_THE_PROTOCOL.match(found.name)
            if is_known or found.is_called or _DID.match(found.name):
                parts += [text[end : found.begin], self.person(found.name)]
                end = found.end
        return "".join([*parts, text[end:]])

    def _without_display_names(self, text: str) -> str:
        # Most texts have no word with which somebody's name begins.
        if self._lengths.keys().isdisjoint(map(str.casefold, _WORD.findall(text))):
            return text
        words = [(found[0], *found.span()) for found in _WORD.finditer(text)]
        parts, end, place = [], 0, 0
        while place < len(words):
            for length in self._lengths.get(words[place][0].casefold(), ()):
                there = words[place : place + length]
                other = self._named.get(_compared(tuple(word for word, _, _ in there)))
                if other is not None and len(there) == length:
                    parts += [text[end : there[0][1]], other]
                    end = there[-1][2]
                    place += length - 1
                    break
            place += 1
        return "".join([*parts, text[end:]])

    def reader(self, rows: pa.RecordBatchReader, columns: Sequence[Column]) -> pa.RecordBatchReader:
        """Give rows in which people have other names.

        Args:
            rows: The rows of a mart.
            columns: What stands in them.
        """

        def batches() -> Iterator[pa.RecordBatch]:
            for batch in rows:
                cells = {column.name: batch.column(column.name) for column in columns}
                others = {column.name: self._column(column, cells) for column in columns}
                yield pa.RecordBatch.from_pydict(_in_order_of_names(others), schema=rows.schema)

        return pa.RecordBatchReader.from_batches(rows.schema, batches())

    def _column(self, column: Column, cells: Mapping[str, pa.Array[Any]]) -> pa.Array[Any]:
        values = cells[column.name]
        if column.meaning is Meaning.OURS:
            return values
        if column.meaning is Meaning.ABOUT:
            return cast("pa.Array[Any]", pa.nulls(len(values), values.type))
        if column.meaning is Meaning.NAME:
            prefix = column.name.removesuffix("display_name").removesuffix("handle")
            dids = cells.get(f"{prefix}did", pa.nulls(len(values)))
            pairs = zip(values.to_pylist(), dids.to_pylist(), strict=True)
            others = [self._called(name, did) for name, did in pairs]
        else:
            others = [self._cell(column.meaning, value) for value in values.to_pylist()]
        return cast("pa.Array[Any]", pa.array(others, values.type))

    def _called(self, name: str | None, did: str | None) -> str | None:
        return name and (self.person(did or name) if did or "." in name else self.words(name))

    def _cell(self, meaning: Meaning | None, value: Any) -> Any:
        if isinstance(value, list):
            return [self._cell(meaning, inner) for inner in value]
        if not isinstance(value, str):
            return value
        match meaning:
            case Meaning.PERSON:
                return self.person(value)
            case Meaning.RECORD:
                return self.record(value)
            case Meaning.PACK:
                return self.pack(value)
            case Meaning.CONTENT:
                return self._named_by("content", value)
            case Meaning.CODES | Meaning.ADDRESS:
                return self.identifiers(value)
        return self.words(value)

    def pack(self, uri: str) -> str:
        """Give another URI to a pack. `all` names nobody."""
        if uri == "all":
            return uri
        return self.record(uri) if uri.startswith("at://") else self._named_by("pack", uri)


def _in_order_of_names(cells: dict[str, pa.Array[Any]]) -> dict[str, pa.Array[Any]]:
    """Let the first of two be whose name here comes first: of DIDs, the order would tell who is who."""
    if not {"one_did", "other_did"} <= cells.keys():
        return cells
    is_swapped = pc.greater(cells["one_did"], cells["other_did"])
    swapped = dict(cells)
    for name, cell in cells.items():
        before, _, what = name.partition("_")
        other = f"{'other' if before == 'one' else 'one'}_{what}"
        if before in ("one", "other") and other in cells:
            swapped[name] = pc.if_else(is_swapped, cells[other], cell)
    return swapped


def _compared(words: tuple[str, ...]) -> tuple[str, ...]:
    """Write words as they are compared: one alone in its own case, as it may be a word of the language."""
    return words if len(words) == 1 else tuple(map(str.casefold, words))
