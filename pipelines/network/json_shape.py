"""How deep an answer is nested and how many values it has, told before anything is decoded."""

from __future__ import annotations

from itertools import accumulate
from typing import Final

MOST_DEPTH: Final = 100
"""Levels. The lexicons need about ten; decoders that call themselves give up at about a thousand."""

MOST_VALUES: Final = 500_000
"""Values of one answer. A page of a hundred posts has some 20,000; as Python objects, a value takes 50 bytes and more,
where as JSON it takes two."""

_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_NO_BRACKETS: Final = bytes(set(range(256)) - _STEPS.keys())
_NO_MARKS: Final = bytes(set(range(256)) - _STEPS.keys() - set(b',"'))


class TooDeep(ValueError):  # noqa: N818 (named as the errors of the network are)
    """A text is nested too deep."""


class TooManyValues(ValueError):  # noqa: N818 (named as the errors of the network are)
    """A text has too many values."""


def expect_sane(body: bytes) -> None:
    """Look at the brackets and commas of a JSON text, in time that grows with its size alone.

    A text that is no JSON may pass: its decoder will say so.

    Raises:
        TooDeep: It is nested deeper than `MOST_DEPTH`.
        TooManyValues: It has more than `MOST_VALUES` values.
    """
    # Escapes first, then all that says nothing: of what is left, every other part is what stood in a string.
    marks = body.replace(b"\\\\", b"").replace(b'\\"', b"").translate(None, _NO_MARKS)
    if marks.count(b'"') > 4 * MOST_VALUES:  # two for a value, two for its key
        raise TooManyValues(f"it has more than {MOST_VALUES:,} values")
    bare = b"".join(marks.split(b'"')[::2])
    if bare.count(b",") + bare.count(b"[") + bare.count(b"{") > MOST_VALUES:
        raise TooManyValues(f"it has more than {MOST_VALUES:,} values")
    brackets = bare.translate(None, _NO_BRACKETS)
    if max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > MOST_DEPTH:
        raise TooDeep(f"it is nested deeper than {MOST_DEPTH} levels")
