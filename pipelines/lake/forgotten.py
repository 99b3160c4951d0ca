"""Who is forgotten: `people/forgotten.json` in the bucket, beside the data set, by which nobody comes back.

It holds no names: for each DID and each handle, an HMAC-SHA-256 under a random salt of this lake. So a copy of the file
tells nobody by itself who asked to be forgotten, and two lakes cannot be compared. Whoever has the file can still try a
guess, since the salt is in it, as it must be for jobs on any machine; a slower function would make that dearer, and
with it each of the thousands of names that a night reads. The DIDs of the network are no secret: keep the bucket one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from pipelines.lake.bucket import LakeError, filesystem_client
from pipelines.lake.scrubbing import Scrubber

if TYPE_CHECKING:
    from collections.abc import Iterable

    import dlt

PEOPLE_FOLDER: Final = "people"
"""Files about people, in the bucket, beside the data set's folder."""

FORGOTTEN_FILE: Final = f"{PEOPLE_FOLDER}/forgotten.json"

_MOST_NAMES_REMEMBERED: Final = 200_000


@dataclass(frozen=True)
class Forgetting:
    """One line of the log: what went, and when; not who.

    Attributes:
        at: When it was done, as an ISO time.
        removed: Rows that went.
        changed: Rows of others from which something was taken.
        files: Files that were written anew.
    """

    at: str
    removed: int
    changed: int
    files: int


@dataclass
class Forgotten:
    """Who is forgotten.

    Attributes:
        salt: This lake's, in hexadecimal.
        hashes: Of DIDs and handles, sorted, so that their order tells nothing.
        generation: A new one with each forgetting. What was made from the lake under another one (a warehouse, a
            working folder) may hold who is forgotten. None while nobody is.
        log: What was done.
    """

    salt: str = field(default_factory=lambda: secrets.token_hex(32))
    hashes: list[str] = field(default_factory=list)
    generation: str | None = None
    log: list[Forgetting] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Prepare what is asked for each name."""
        self._known = frozenset(self.hashes)
        self._is_forgotten = lru_cache(_MOST_NAMES_REMEMBERED)(lambda name: self._hash(name) in self._known)
        self._scrubber = Scrubber(self._is_forgotten)

    def _hash(self, identifier: str) -> str:
        return hmac.new(bytes.fromhex(self.salt), identifier.encode(), hashlib.sha256).hexdigest()

    @property
    def scrubber(self) -> Scrubber | None:
        """What takes them out of rows; None while nobody is forgotten."""
        return self._scrubber if self.hashes else None

    def names(self, *values: str | None) -> bool:
        """Tell whether one of these (DIDs, handles, URIs) is, or is in the repository of, somebody forgotten."""
        return bool(self.hashes) and self._scrubber.finds(values)

    def with_people(self, identifiers: Iterable[str]) -> Forgotten:
        """Add normalized DIDs and handles of somebody."""
        hashes = sorted({*self.hashes, *map(self._hash, identifiers)})
        return Forgotten(self.salt, hashes, secrets.token_hex(8), self.log)

    def with_log(self, removed: int, changed: int, files: int) -> Forgotten:
        """Add what was done."""
        done = Forgetting(datetime.now(UTC).isoformat(timespec="seconds"), removed, changed, files)
        return Forgotten(self.salt, self.hashes, secrets.token_hex(8), [*self.log, done])


_current = Forgotten()


def forgotten() -> Forgotten:
    """Give who is forgotten in the lake that this process opened last."""
    return _current


def read_forgotten(pipeline: dlt.Pipeline) -> Forgotten:
    """Read who is forgotten in a lake; from then on, this process keeps them out of all rows.

    Raises:
        LakeError: The file cannot be read. Going on would bring them back.
    """
    global _current  # noqa: PLW0603  (as dlt's own run context: one lake a process)
    text = read_people_file(pipeline, FORGOTTEN_FILE)
    if text is None:
        _current = Forgotten()
        return _current
    try:
        _current = _parse(json.loads(text))
    except (ValueError, TypeError, KeyError) as error:
        raise LakeError(
            f"{FORGOTTEN_FILE} in the bucket cannot be read ({error}): restore it before going on."
        ) from error
    return _current


def _parse(kept: dict[str, Any]) -> Forgotten:
    bytes.fromhex(kept["salt"])
    return Forgotten(kept["salt"], kept["hashes"], kept["generation"], [Forgetting(**done) for done in kept["log"]])


def write_forgotten(pipeline: dlt.Pipeline, people: Forgotten) -> None:
    """Keep who is forgotten; from then on, this process keeps them out of all rows."""
    global _current  # noqa: PLW0603
    write_people_file(pipeline, FORGOTTEN_FILE, json.dumps(asdict(people), indent=1) + "\n")
    _current = people


def read_people_file(pipeline: dlt.Pipeline, name: str) -> str | None:
    """Read a file about people; None if it is not there.

    Args:
        pipeline: Any pipeline of the lake.
        name: Its path in the bucket.
    """
    client = filesystem_client(pipeline)
    path = f"{client.bucket_path}/{name}"
    client.fs_client.invalidate_cache(path.rpartition("/")[0])
    try:
        content: bytes = client.fs_client.cat_file(path)
    except FileNotFoundError:
        return None
    return content.decode("utf-8", "replace")


def write_people_file(pipeline: dlt.Pipeline, name: str, text: str) -> None:
    """Write a file about people, whole or not at all.

    Args:
        pipeline: Any pipeline of the lake.
        name: Its path in the bucket.
        text: What is in it.
    """
    client = filesystem_client(pipeline)
    path = f"{client.bucket_path}/{name}"
    client.fs_client.makedirs(path.rpartition("/")[0], exist_ok=True)
    client.fs_client.write_text(path, text)


def remove_people_file(pipeline: dlt.Pipeline, name: str) -> None:
    """Remove a file about people.

    Args:
        pipeline: Any pipeline of the lake.
        name: Its path in the bucket.
    """
    client = filesystem_client(pipeline)
    client.fs_client.rm_file(f"{client.bucket_path}/{name}")
