"""Nobody else's words reach a terminal as anything but text."""

from __future__ import annotations

import re
from random import Random
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.terminal import visible
from tests.terminal.speaking import recorded

if TYPE_CHECKING:
    from collections.abc import Iterable

SEQUENCE: Final = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")

HOSTILE: Final = (
    "[/red]",
    "[bold red on white]",
    "[link=https://example.com]here[/link]",
    ":bomb:",
    "\x1b[2J\x1b[H",
    "\x1b]52;c;cm0gLXJmIH4=\x07",
    "\x1b]8;;https://example.com\x1b\\here\x1b]8;;\x1b\\",
    "\x1b]0;a title\x07",
    "\x1b[?1049h",
    "\x1b[31mred",
    "\x1bc",
    "\x1bP0;0|0/61\x1b\\",
    "\x9b2J",
    "\x9d52;c;AAAA\x9c",
    "all well\rfailed",
    "\nlake  s3://elsewhere",
    "\x7f\x08\x08\x08",
    "\t\x0b\x0c\x0e\x0f",
    "\x00",
    "\u202egnp.exe",
    "\u2066a\u2067b\u2069",
    "a\u200bb\u200d\ufeff\u2060c",
    "\u2028\u2029\x85",
    "\U000e0041\U000e007f",
    chr(0xD800),
    "\u3164\u2800\u115f",
    "\\x1b[2J",
)


def hostile_texts(count: int, seed: int) -> list[str]:
    chance = Random(seed)

    def any_char() -> str:
        return chr(chance.choice((chance.randrange(0x20), chance.randrange(0x100), chance.randrange(0x110000))))

    made = (
        "".join(chance.choice((chance.choice(HOSTILE), any_char(), "word ")) for _ in range(chance.randint(1, 6)))
        for _ in range(count - len(HOSTILE))
    )
    return [f"{number} {text}" for number, text in enumerate((*HOSTILE, *made))]


@pytest.mark.usefixtures("lake")
def test_two_hundred_hostile_texts_send_a_terminal_nothing_but_what_harmless_ones_do() -> None:
    own = set(SEQUENCE.findall(recorded([f"{number} harmless" for number in range(200)])))
    assert b"\x1b[?25l" in own, "this is a terminal, and the panel is drawn"
    sent = recorded(hostile_texts(200, seed=14))
    # How many lines up the panel's beginning is depends on how long its words are.
    assert _kinds(SEQUENCE.findall(sent)) <= _kinds(own)
    text = SEQUENCE.sub(b"", sent).decode()
    assert {char for char in text if not char.isprintable()} == {"\n", "\r"}
    assert not re.search(rb"\r[^\r\n\x1b]", sent), "only a sequence of the program's own writes over a line"
    assert r"\x1b]52;c;cm0gLXJmIH4=\x07" in text, "it is shown"
    assert "[/red]" in text


def _kinds(sequences: Iterable[bytes]) -> set[bytes]:
    return {re.sub(rb"\d+(?=A)", b"n", sequence) for sequence in sequences}


@given(st.text(st.characters()))
def test_what_is_visible_is_printable_and_stays_so(text: str) -> None:
    shown = visible(text)
    assert shown.isprintable()
    assert visible(shown) == shown


@pytest.mark.parametrize("text", ["Grüße, 世界! 👋 e\u0301", "#données", "नमस्ते", "", "שלום", "⚽️"])
def test_words_of_any_language_stay_as_they_are(text: str) -> None:
    assert visible(text) == text
