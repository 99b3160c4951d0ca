"""Texts in which somebody is named, however their name may be written, as strategies of hypothesis."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from hypothesis import strategies as st

from pipelines.lake.names_in_texts import USUAL_LETTERS

if TYPE_CHECKING:
    from collections.abc import Callable

DID = "did:plc:mpyqgmifpweqk32rnmzeisfp"
HANDLES = ("nils.example.org", "www.nils.example.org")
_INVISIBLE = "\u200b\u200d\u2060\ufeff\u00ad\ufe0f\u202e"


def _unusual(letter: str) -> list[str]:
    return [unusual for unusual, usual in USUAL_LETTERS.items() if usual == letter] or [letter]


def _encoded(letter: str) -> str:
    return "".join(f"%{byte:02x}" for byte in letter.encode())


def _encoded_in_its_digits(letter: str) -> str:
    return "".join("%" + "".join(map(_encoded, f"{byte:02x}")) for byte in letter.encode())


@st.composite
def spellings(draw: st.DrawFn, names: tuple[str, ...] = (DID, *HANDLES)) -> str:
    """A name, with some of its letters written otherwise."""
    otherwise: dict[int, Callable[[str], str]] = {
        0: str.upper,
        1: lambda letter: draw(st.sampled_from(_unusual(letter))),
        2: _encoded,
        3: lambda letter: quote(_encoded(letter)),
        4: lambda letter: quote(quote(_encoded(letter))),
        5: lambda letter: letter + draw(st.sampled_from(_INVISIBLE)),
        6: lambda letter: _encoded(draw(st.sampled_from(_unusual(letter)))),
        7: _encoded_in_its_digits,
    }
    name = draw(st.sampled_from(names))
    places = draw(st.dictionaries(st.integers(0, len(name) - 1), st.sampled_from(sorted(otherwise)), max_size=4))
    return "".join(otherwise[places[at]](letter) if at in places else letter for at, letter in enumerate(name))


def texts() -> st.SearchStrategy[str]:
    """Texts that may name them."""
    between = [
        "@",
        " ",
        ".",
        "..",
        "-",
        "--",
        "_",
        "/",
        "%2F",
        "%252f",
        ":",
        "é",
        "x",
        "İ",
        "\u200b",
        "xn--",
        "%",
        "%e9",
    ]
    between += ["at://", "https://bsky.app/profile/", "https://www.", "And", ".And", "Hello.", "%40", "%%34%30", "("]
    return st.lists(spellings() | st.sampled_from(between) | st.text(max_size=3), max_size=6).map(
        lambda parts: "".join(parts).replace("\0", "").encode(errors="ignore").decode()
    )
