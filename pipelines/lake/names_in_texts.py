"""Finds all that may be a handle or a DID in a text, in every way in which readers, or an app, take it for one.

Forgetting goes by it, and so does what reports withhold: `names_in` in `dbt/macros/publishing.sql` is the same in SQL,
with the tables of letters that stand here.

A text is read several times: as it stands, without what nobody sees, and with percent signs decoded, however often they
were encoded; each time with full-width and other unusual letters written as the usual ones. What is spelled otherwise,
as with a Cyrillic letter, is another word.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Span = tuple[int, int]


_WITH_OTHER_FORMS: Final = (range(0x80, 0x3400), range(0xA000, 0xAC00), range(0xF900, 0x20000))
"""Where Unicode has other forms of letters: all but the Han and Hangul, and what has no letters yet."""

_FIRST_WIDE: Final = "\U00010000"


def _usual_letters() -> dict[str, str]:
    """Find the letters that mean one of those in names, by Unicode's compatibility, with dots and hyphens of names."""
    others = (letter for block in _WITH_OTHER_FORMS for letter in map(chr, block) if unicodedata.decomposition(letter))
    letters = {letter: unicodedata.normalize("NFKC", letter) for letter in others}
    found = {letter: usual for letter, usual in letters.items() if re.fullmatch("[!-~]", usual)}
    # In small letters, the Turkish İ would be two characters.
    return found | {"İ": "I"} | dict.fromkeys("。｡", ".") | dict.fromkeys("‐‑−", "-")  # noqa: RUF001


USUAL_LETTERS: Final = _usual_letters()
"""How each unusual letter is usually written: one letter for one, so that places stay."""

_INVISIBLE_RANGES: Final = (
    *((0x00, 0x08), (0x0E, 0x1F), (0x7F, 0x84), (0x86, 0x9F), (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C)),
    *((0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F)),
    *((0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFFB)),
    *((0x2800, 0x2800), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)
"""What nobody sees: controls but white space, marks of direction, joiners, selectors of variants, fillers."""

_INVISIBLE: Final = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _INVISIBLE_RANGES) + "]")
# One by one, the wide ones would be compared with each character of a text: they are found by their blocks.
_UNUSUAL: Final = re.compile(
    "["
    + "".join(sorted(letter for letter in USUAL_LETTERS if letter < _FIRST_WIDE))
    + "".join(
        f"{chr(block << 8)}-{chr(block << 8 | 0xFF)}"
        for block in sorted({ord(letter) >> 8 for letter in USUAL_LETTERS if letter >= _FIRST_WIDE})
    )
    + "]"
)
_ENCODED: Final = re.compile(r"(?:%(?:25)*[0-9A-Fa-f]{2})+")
_ENCODED_BYTE: Final = re.compile(r"%(?:25)*([0-9A-Fa-f]{2})")
_MOST_DECODINGS: Final = 3
"""Of what is there only after one, as `%2F` in `%%32F`. Percent signs that are encoded again and again are one."""

_DID_FORMS: Final = tuple(
    re.compile(form, re.IGNORECASE | re.ASCII)
    for form in (r"did:[a-z]+:[a-z0-9._:%-]+", r"did:[a-z]+:(?:[a-z0-9._:%]|-(?!-))+", r"did:plc:[a-z2-7]{24}")
)
"""A DID as it is written, up to a dash of two hyphens, and of the usual method, whatever follows."""

# From where a word begins: from each of its letters, a long one without a dot would be read to its end.
_NAMES: Final = re.compile(r"(?<![A-Za-z0-9-])[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+")
# What readers take for a name's end within one: a dash of two hyphens, but in a label that is Punycode; a hyphen where
# no name can have one; and a dot behind small letters where the next sentence begins without a space, as in
# `x.com.And`. Its beginning is, in the same way, what follows a word with a capital letter, as in `Hello.x.com`.
_DASHES: Final = re.compile(r"(?<![A-Za-z0-9-])xn--[A-Za-z0-9-]*|([.-]*(?:--|-\.|\.-)[.-]*)", re.IGNORECASE)
_SENTENCES: Final = re.compile(r"(?<=\.)[a-z0-9][A-Za-z0-9-]*(?=\.[A-Z])")
_WORD_BEFORE: Final = re.compile(r"[A-Z][A-Za-z0-9-]*\.(?=[a-z0-9])")
_LONGEST_NAME: Final = 300
"""More characters than a handle may have, with `www.` and hyphens around it."""

_BEFORE_A_HANDLE: Final = re.compile(
    r'(?:@|(?<![a-z0-9.-])at://|/(?:profile|start|starter-pack)/|"handle": ?")\Z', re.IGNORECASE
)
_LONGEST_BEFORE_A_HANDLE: Final = 20
_IN_NAMES: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:%-")
_REST_OF_NAME: Final = re.compile(r"[A-Za-z0-9._:%-]*")


class NameInText(NamedTuple):
    """What may be a handle or a DID, and where it stands.

    Attributes:
        name: In small letters.
        begin: Its first character in the text.
        end: Behind its last.
        is_called: Whether it stands where a handle does: behind `@`, or where addresses have a person. Elsewhere
            `www.x.com` may be the site of `x.com`.
    """

    name: str
    begin: int
    end: int
    is_called: bool


def names_at(text: str, needles: re.Pattern[str] | None = None) -> Iterator[NameInText]:
    """Find all that may be a handle or a DID in a text.

    Args:
        text: The text.
        needles: Matches, in small letters, something of each name that is looked for: what is far from one is not read.
    """
    for reading in readings(text):
        for begin, end in _near(reading.text, needles):
            for name, first, last, is_called in _names_between(reading.text, begin, end):
                yield NameInText(name, *reading.place(first, last), is_called)


def plainly_written(text: str) -> str:
    """Write a text with usual letters, without what nobody sees, and with percent signs decoded."""
    *_, last = readings(text)
    return last.text


class Reading:
    """A way to read a text: it, with some of its parts written otherwise.

    Attributes:
        text: What is read.
    """

    def __init__(self, text: str, before: Reading | None = None, changes: Iterable[tuple[int, int, str]] = ()) -> None:
        """Write parts of an earlier reading otherwise.

        Args:
            text: What the earlier reading is.
            before: The earlier reading; None for the text itself.
            changes: Begin and end of each part, and a character or nothing in its place.
        """
        self._before = before
        self._begins, self._places, self._widths = [0], [0], [1]
        parts, size, read = [], 0, 0
        for begin, end, written in changes:
            parts += [text[read:begin], written]
            size += begin - read
            if written:
                self._begins.append(size)
                self._places.append(begin)
                self._widths.append(end - begin)
                size += len(written)
            self._begins.append(size)
            self._places.append(end)
            self._widths.append(1)
            read = end
        self.text = "".join([*parts, text[read:]]) if parts else text

    def place(self, begin: int, end: int) -> Span:
        """Tell where a part of it stands in the text."""
        if self._before is None:
            return begin, end
        first, last = bisect_right(self._begins, begin) - 1, bisect_right(self._begins, end - 1) - 1
        return self._before.place(
            self._places[first] + begin - self._begins[first],
            self._places[last] + end - 1 - self._begins[last] + self._widths[last],
        )


@lru_cache(128)  # One text after the other is looked at for one kind of name after the other.
def readings(text: str) -> tuple[Reading, ...]:
    """Read a text in all the ways in which names are looked for in it; the last one is the plainest."""
    found = _with_and_without_invisible(Reading(_usual(text)))
    for reading in tuple(found):
        for is_ascii in (True, False):
            decoded = reading
            for _ in range(_MOST_DECODINGS):
                if not _ENCODED.search(decoded.text):
                    break
                decoded = Reading(decoded.text, decoded, _decodings(decoded.text, is_ascii=is_ascii))
            if decoded is not reading and decoded.text != found[-1].text:
                found += _with_and_without_invisible(decoded)
    return tuple(found)


def _usual(text: str) -> str:
    if text.isascii():
        return text
    return _UNUSUAL.sub(_usual_letter, text)


def _usual_letter(found: re.Match[str]) -> str:
    return USUAL_LETTERS.get(found.group(), found.group())


def _with_and_without_invisible(reading: Reading) -> list[Reading]:
    if not _INVISIBLE.search(reading.text):
        return [reading]
    # It is read with them, too: where one stands between words, it is all that is between them.
    return [
        reading,
        Reading(reading.text, reading, ((*found.span(), "") for found in _INVISIBLE.finditer(reading.text))),
    ]


def _decodings(text: str, *, is_ascii: bool) -> Iterator[tuple[int, int, str]]:
    """Decode what is written with percent signs, as UTF-8 or, as it may be of any encoding, what is ASCII alone."""
    for run in _ENCODED.finditer(text):
        found = [(int(byte.group(1), 16), byte.span()) for byte in _ENCODED_BYTE.finditer(text, *run.span())]
        number = 0
        while number < len(found):
            # As many bytes as its first one says, if they are a character; one by one if not.
            some = found[number : number + _utf8_size(found[number][0])]
            try:
                letter = bytes(byte for byte, _ in some).decode("ascii" if is_ascii else "utf-8")
            except UnicodeDecodeError:
                letter, some = " ", some[:1]
            yield some[0][1][0], some[-1][1][1], _usual(letter)
            number += len(some)


def _utf8_size(first: int) -> int:
    return 4 if first >= 0xF0 else 3 if first >= 0xE0 else 2 if first >= 0xC0 else 1


def _near(text: str, needles: re.Pattern[str] | None) -> Iterator[Span]:
    """Give what of a text has to be read: no name reaches beyond the characters that names are made of."""
    if needles is None:
        yield 0, len(text)
        return
    lower = text.lower()
    end = 0
    for needle in needles.finditer(lower):
        if needle.start() < end:
            continue
        begin = needle.start()
        while begin and text[begin - 1] in _IN_NAMES:
            begin -= 1
        rest = _REST_OF_NAME.match(text, needle.end())
        end = rest.end() if rest else needle.end()
        yield begin, end


def _names_between(text: str, begin: int, end: int) -> Iterator[tuple[str, int, int, bool]]:
    for form in _DID_FORMS:
        for did in form.finditer(text, begin, end):
            for name in _readings_of_did(text, did):
                yield name.lower(), did.start(), did.start() + len(name), False
    for word in _NAMES.finditer(text, begin, end):
        for first, last in _readings_of_word(text, word):
            name = text[first:last].strip("-").lower()
            if "." not in name:
                continue
            is_called = text[first - 1 : first] in '@/"' and _is_called(text, first)
            yield name, first, last, is_called
            if not is_called and name.startswith("www.") and name.count(".") > 1:
                yield name.removeprefix("www."), first, last, False


def _readings_of_did(text: str, did: re.Match[str]) -> set[str]:
    """Give a DID as it is written, and without what is more often the sentence's."""
    begin, end = did.span()
    ends = [end, *(sentence.end() for sentence in _SENTENCES.finditer(text, begin, min(end, begin + _LONGEST_NAME)))]
    written = [text[begin:end] for end in ends]
    return {*written, *(name.rstrip(".:%") for name in written), *(name.rstrip("._:%-") for name in written)}


def _is_called(text: str, begin: int) -> bool:
    return _BEFORE_A_HANDLE.search(text, max(0, begin - _LONGEST_BEFORE_A_HANDLE), begin) is not None


def _readings_of_word(text: str, word: re.Match[str]) -> Iterator[Span]:
    """Give a word as it is written, and as readers see its end."""
    begin, end = word.span()
    yield begin, end
    if "-" not in word.group() and word.group().islower():
        return
    dashes = [dash.span(1) for dash in _DASHES.finditer(text, begin, end) if dash.group(1)]
    begins, ends = [begin, *(after for _, after in dashes)], [*(before for before, _ in dashes), end]
    parts = list(zip(begins, ends, strict=True)) if dashes else []
    yield from parts
    for first, last in ((begin, end), *parts):
        word_before = None if text[first - 1 : first] in ("@", "/") else _WORD_BEFORE.match(text, first, last)
        if word_before:
            yield word_before.end(), last
        for start in (first, *([word_before.end()] if word_before else [])):
            for sentence in _SENTENCES.finditer(text, start, min(last, start + _LONGEST_NAME)):
                yield start, sentence.end()


PERCENT: Final = "[%％﹪]"  # noqa: RUF001
ENCODED_IN_NAMES: Final = (
    f"{PERCENT}(25)*(25|2[DdEe]|3[0-9]|4[1-9A-Fa-f]|5[0-9Aa]|6[1-9A-Fa-f]|7[0-9Aa]|[89A-Fa-f][0-9A-Fa-f])"
)
"""Matches, in DuckDB, what may be encoded within a name: its letters, digits, dots and hyphens, or what is no ASCII."""


def pattern_of(needle: str) -> str:
    """Give a regular expression, as DuckDB reads it, that matches a part of a name however its letters are written."""
    return f"{_class_of(_INVISIBLE_RANGES)}*".join(map(_pattern_of_letter, needle))


def _pattern_of_letter(letter: str) -> str:
    both = {letter, letter.upper()}
    return _class_of(
        (ord(each),) * 2 for each in sorted(both | {u for u, usual in USUAL_LETTERS.items() if usual in both})
    )


def _class_of(ranges: Iterable[Span]) -> str:
    return "[" + "".join(f"\\x{{{first:x}}}-\\x{{{last:x}}}" for first, last in ranges) + "]"


LETTERS_IN_SQL: Final = {
    "unusual": _class_of((ord(letter), ord(letter)) for letter in sorted(USUAL_LETTERS)),
    "unusual_letters": "".join(USUAL_LETTERS),
    "usual_letters": "".join(USUAL_LETTERS.values()),
    "invisible": _class_of(_INVISIBLE_RANGES),
}
"""What `names_in` in SQL asks for, by the names of DuckDB's variables."""
