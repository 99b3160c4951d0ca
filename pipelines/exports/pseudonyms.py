"""Other names for people, in all that an export says of them.

A name is an HMAC-SHA-256 of a DID under a secret salt, so that two exports by one salt agree, and nobody without the
salt can try a guess. Handles and display names become the name of whoever has them; keys and hashes of records, by
which a post could be looked up, become others. What somebody says of themself (description, links, picture) is left
empty.

A display name is looked for in texts where it can be told from other words: what many people write in small letters, as
`the`, is a word of their language.

Words stay, and words can be searched for: see PRIVACY.md for what this cannot promise.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
from bisect import bisect
from collections import defaultdict
from contextlib import suppress
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.exports.columns import Meaning
from pipelines.exports.marts import ExportError
from pipelines.lake.names_in_texts import names_at, plainly_written, readings
from pipelines.lake.scrubbing import normalized

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
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
select actor_did, actor_handle, actor_display_name from int_reactions
union
select null, ltrim(withheld_name, '@'), null from int_withheld_names
order by all
"""

_COMMON_WORDS: Final = r"""
with posts as (
    select author_did, text from fct_posts where text is not null
),
written as (
    select author_did, unnest(regexp_extract_all(text, '[\pL\pN_]+')) as word from posts
    union all
    select author_did, name
    from posts
    inner join (select unnest(from_json($unspaced, '["VARCHAR"]')) as name) on contains(text, name)
)
select word
from written
semi join (
    select unnest(from_json($words, '["VARCHAR"]') || from_json($unspaced, '["VARCHAR"]')) as word
) using (word)
group by word
having count(distinct author_did) >= greatest(3, (select count(distinct author_did) from posts) / 50)
"""
"""Asks which of these words, in small letters, and names in scripts without spaces, one in fifty authors writes."""

_NO_NAMES: Final = frozenset({"", "handle.invalid"})
_DID: Final = re.compile(r"did(?::|%(?:25)*3a)", re.IGNORECASE)
_TYPES_OF_THE_PROTOCOL: Final = re.compile(r"(?:app\.bsky|chat\.bsky|com\.atproto|tools\.ozone)\.")
_KEY_OF_DID: Final = re.compile(r"(?<![A-Za-z0-9])[a-z2-7]{24}(?![A-Za-z0-9])", re.IGNORECASE)
_RECORDS: Final = re.compile(
    r"(at://|/(?:profile|start|starter-pack)/)([^\s/\"'<>?#]+)(?:((?:/[A-Za-z][A-Za-z.-]*)?/)([A-Za-z0-9._:~-]+))?",
    re.IGNORECASE,
)
_ADDRESS_OF_POST: Final = re.compile(r"https://bsky\.app(/profile/)(did:plc:[a-z2-7]{24})(/post/)([a-z0-9]+)")
"""What the marts have for each post: it need not be searched for all else that an address can hold."""
_PACK_OF_ONE: Final = re.compile(r"at://([^/]+)")
_WORD: Final = re.compile(r"\w+")
_TOKEN: Final = re.compile(r"\S+")
_IN_ADDRESSES: Final = re.compile(r"://|\w\.\w")
# Scripts that write words without spaces: Thai to Khmer, kana, Han, Hangul.
_UNSPACED: Final = re.compile("[\u0e00-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
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


class _Place(NamedTuple):
    """A place in a text where something else has to stand.

    Attributes:
        begin: Its first character.
        end: Behind its last.
        other: What is to stand there.
    """

    begin: int
    end: int
    other: str


class Pseudonyms:
    """Gives people other names."""

    def __init__(
        self,
        salt: bytes,
        people: Iterable[tuple[str | None, str | None, str | None]],
        common_words: Collection[str] = frozenset(),
    ) -> None:
        """Know who is called what.

        Args:
            salt: The secret.
            people: DID, handle and display name, as often as somebody was seen with others. Of somebody without a DID
                the handle, or the DID, is known alone.
            common_words: What no display name can be told from, in small letters.
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
            words = _words_of(display_name)
            compared = _as_compared(words, common_words)
            if compared is None or len("".join(words)) < 2:
                continue
            if _UNSPACED.search("".join(words)):
                unspaced[plainly_written(display_name or "").strip()].add(person)
            named[compared].add(person)
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
        self.identifiers = lru_cache(_MOST_REMEMBERED)(self._identifiers)
        self.person = lru_cache(_MOST_REMEMBERED)(self._person)

    @classmethod
    def of(cls, marts: duckdb.DuckDBPyConnection, salt: bytes) -> Pseudonyms:
        """Know everybody whom a warehouse knows by any name."""
        people = marts.execute(_PEOPLE).fetchall()
        names = [_words_of(display_name) for _, _, display_name in people]
        words = sorted({word.lower() for word in chain(*names)})
        unspaced = sorted({name[0] for name in names if len(name) == 1 and _UNSPACED.search(name[0])})
        # As JSON: of a list, DuckDB takes a millisecond for each word.
        asked = {"words": json.dumps(words), "unspaced": json.dumps(unspaced)}
        common = marts.execute(_COMMON_WORDS, asked).fetchall()
        return cls(salt, people, {word for (word,) in common})

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
        return _with_others(uri, self._in_record(found)) if found else self.words(uri)

    def _in_record(self, found: re.Match[str]) -> Iterator[_Place]:
        _, authority, _, key = found.groups()
        if not _DID.match(authority) and "." not in authority:
            return  # No person's, or one who has another name already.
        person = self.person(authority)
        yield _Place(*found.span(2), person)
        if key:
            yield _Place(*found.span(4), self._named_by("record", f"{person}/{key}"))

    def _words(self, text: str) -> str:
        """Take people's names out of a text, wherever and however they are written in it."""
        return _with_others(text, self._identifiers_in(text), self._display_names_in(text))

    def _identifiers(self, text: str) -> str:
        """Take DIDs and handles out of a text."""
        of_post = _ADDRESS_OF_POST.fullmatch(text)
        return _with_others(text, self._in_record(of_post) if of_post else self._identifiers_in(text))

    def _identifiers_in(self, text: str) -> Iterator[_Place]:
        for found in names_at(text):
            is_known = found.name in self._did_of and not _TYPES_OF_THE_PROTOCOL.match(found.name)
            if is_known or found.is_called or _DID.match(found.name):
                yield _Place(found.begin, found.end, self.person(found.name))
        for reading in readings(text):
            for record in _RECORDS.finditer(reading.text):
                for begin, end, other in self._in_record(record):
                    yield _Place(*reading.place(begin, end), other)
            for found_key in _KEY_OF_DID.finditer(reading.text):
                key = found_key[0].lower()
                if key in self._keys:
                    yield _Place(*reading.place(*found_key.span()), self.person(f"did:plc:{key}"))

    def _display_names_in(self, text: str) -> Iterator[_Place]:
        for reading in readings(text):
            for begin, end, other in self._display_names_of(reading.text):
                yield _Place(*reading.place(begin, end), other)

    def _display_names_of(self, text: str) -> Iterator[_Place]:
        for found in self._any_unspaced.finditer(text):
            yield _Place(*found.span(), self._unspaced[found[0]])
        # Most texts have no word with which somebody's name begins.
        if self._lengths.keys().isdisjoint(map(str.casefold, _WORD.findall(text))):
            return
        without_addresses = _TOKEN.sub(_blank_if_address, text)
        words = [(found[0], *found.span()) for found in _WORD.finditer(text)]
        for place, (first, begin, _) in enumerate(words):
            for length in self._lengths.get(first.casefold(), ()):
                there = words[place : place + length]
                is_alone_in_address = length == 1 and without_addresses[begin] == " "
                other = self._other_for(tuple(word for word, _, _ in there))
                if other is not None and len(there) == length and not is_alone_in_address:
                    yield _Place(begin, there[-1][2], other)

    def _other_for(self, words: tuple[str, ...]) -> str | None:
        return self._named.get(words) or (self._named.get(_in_any_case(words)) if len(words) > 1 else None)

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
        elif column.name == "pack_name" and "pack_uri" in cells:
            packs = zip(values.to_pylist(), cells["pack_uri"].to_pylist(), strict=True)
            others = [name and self.pack_name(name, uri) for name, uri in packs]
        else:
            others = [self._cell(column.meaning, value) for value in values.to_pylist()]
        return cast("pa.Array[Any]", pa.array(others, values.type))

    def _called(self, name: str | None, did: str | None) -> str | None:
        return name and (self.person(did or name) if did or "." in name else self._named_by("name", name))

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

    def pack_name(self, name: str, uri: str | None) -> str:
        """Give another name to a pack of one, which is called by that person's; take names out of that of another."""
        of_one = _PACK_OF_ONE.fullmatch(uri or "")
        return self.person(of_one[1]) if of_one else self.words(name)


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


def _words_of(display_name: str | None) -> tuple[str, ...]:
    return tuple(_WORD.findall(plainly_written(display_name or "")))


def _as_compared(words: tuple[str, ...], common_words: Collection[str]) -> tuple[str, ...] | None:
    """Write a display name as it is looked for in texts; None where nothing tells it from other words.

    Several words are a name in any case, one is one as it is written. Of common words alone, it is a name where a
    sentence would go on in small letters: `Good Morning`.
    """
    if not all(word.lower() in common_words for word in words):
        return words if len(words) == 1 else _in_any_case(words)
    return words if any(word != word.lower() for word in words[1:]) else None


def _in_any_case(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(str.casefold, words))


def _blank_if_address(token: re.Match[str]) -> str:
    return " " * len(token[0]) if _IN_ADDRESSES.search(token[0]) else token[0]


def _with_others(text: str, *found: Iterable[_Place]) -> str:
    """Write into its places what has to stand there.

    Args:
        text: The text.
        found: The places. Of two that overlap, one of earlier places counts, then the first, then the longer.
    """
    chosen: list[_Place] = []
    for places in found:
        for place in sorted(places, key=lambda place: (place.begin, -place.end)):
            at = bisect(chosen, place)
            before, after = chosen[max(at - 1, 0) : at], chosen[at : at + 1]
            if all(other.end <= place.begin for other in before) and all(place.end <= other.begin for other in after):
                chosen.insert(at, place)
    parts, end = [], 0
    for place in chosen:
        parts += [text[end : place.begin], place.other]
        end = place.end
    return "".join([*parts, text[end:]])
