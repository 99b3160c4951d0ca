"""How other people's words get into a run's log and summary: as text that commands nothing and hides nothing.

What whole programs say goes through `as_data.sh`.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from pipelines.terminal import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SECRETS: Final = Path(".dlt/secrets.toml")

NO_SECRETS: Final = {"auto", "path"}
"""What settings.py sets for some buckets by itself."""


def annotate(level: str, message: str, title: str = "") -> None:
    """Put a notice, a warning or an error on the run's page.

    Args:
        level: `notice`, `warning` or `error`.
        message: Anybody's words.
        title: Ours.
    """
    # The runner would take `%0A` for a line's end.
    written = visible(message).replace("%", "%25")
    print(f"::{level}{f' title={title}' if title else ''}::{written}")


def in_markdown(text: str) -> str:
    """Write anybody's words so that Markdown, and HTML in it, finds nothing in them: in one line, also in a table."""
    return re.sub(r"[!-/:-@\[-`{-~]", lambda found: f"&#{ord(found[0])};", visible(text))


def code_block(lines: Iterable[str]) -> list[str]:
    """Put anybody's words into a block of Markdown that none of them ends."""
    shown = [visible(line) for line in lines]
    longest = max((len(run) for line in shown for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence, *shown, fence]


def without_secrets(text: str, secrets: Path = SECRETS) -> str:
    """Leave out what the repository keeps secret: a log hides it, a summary is for everybody as it is written."""
    hidden = set(_secrets_of(tomllib.loads(secrets.read_text(encoding="utf-8")))) if secrets.exists() else set()
    for secret in sorted(hidden - NO_SECRETS, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", "***", text, flags=re.IGNORECASE)
    return text


def _secrets_of(settings: dict[str, Any]) -> Iterator[str]:
    """Give each text of the settings, and of an address the host or the bucket alone, as messages name it."""
    for value in settings.values():
        if isinstance(value, dict):
            yield from _secrets_of(value)
        elif isinstance(value, str) and value:
            yield value
            if "://" in value:
                yield urlsplit(value).netloc
