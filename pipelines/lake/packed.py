"""Values that dlt's state holds as one short text: dlt goes through the whole state several times for each load."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any, Final

_MARK: Final = "zlib:"


def pack(value: Any) -> str:
    """Make a text of a value that JSON can hold."""
    return _MARK + base64.b64encode(zlib.compress(json.dumps(value, separators=(",", ":")).encode())).decode()


def is_packed(text: str) -> bool:
    """Tell whether a text is one that `pack` made."""
    return text.startswith(_MARK)


def unpack(text: str) -> Any:
    """Give the value of which `pack` made a text."""
    return json.loads(zlib.decompress(base64.b64decode(text.removeprefix(_MARK))))
