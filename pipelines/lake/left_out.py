"""Who is left out of what is published: what the settings say, and what the job found out about it.

They are named in three places: `left_out` in dlt's configuration, the file `people/left_out.txt` in the bucket, and
dbt's variable `unpublished_dids`. A handle moves from person to person, so that each is resolved once, by a job that
has a network, and the DID is kept in `people/left_out.json`. dbt and the page read it there.

A name that is not resolved is not passed over: as long as there is one, nobody is published.
"""

from __future__ import annotations

import json
import re
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import dlt
import duckdb
import msgspec
import yaml

from pipelines.lake.bucket import PROJECT_ROOT, LakeError, filesystem_client
from pipelines.lake.duckdb_settings import PEOPLE, as_pattern, duckdb_settings
from pipelines.network.identifiers import is_did
from pipelines.network.names import names_in, person_named

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pipelines.lake.duckdb_settings import DuckDBSettings

NAMES_FILE: Final = "left_out.txt"
FOUND_FILE: Final = "left_out.json"

VARIABLE: Final = "unpublished_dids"

_NO_NAME: Final = "?"
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
_ENCODINGS: Final = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


@dataclass(frozen=True)
class Named:
    """One name in the settings. It is never printed: logs of a nightly may be public.

    Attributes:
        place: Where it stands, in words for people.
        person: A DID, or a handle in small letters; None where it names nobody for certain.
    """

    place: str
    person: str | None

    def __str__(self) -> str:
        """Say what is wrong with it, in one line."""
        if self.person is None:
            return f"{self.place} names nobody for certain: write a handle, a DID or a link to a profile."
        return f"{self.place} is a handle behind which nobody was found: correct it, or write the person's DID."


class Found(msgspec.Struct):
    """What is kept in the bucket.

    Attributes:
        dids: The DID that each handle in the settings led to, when it was first asked for.
        handles: Handles under which somebody who is left out was seen, by DID: other people's texts name them by these.
    """

    dids: dict[str, str] = msgspec.field(default_factory=dict)
    handles: dict[str, list[str]] = msgspec.field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """Who is left out.

    Attributes:
        names: What the settings name.
        found: What is known of them.
    """

    names: tuple[Named, ...] = ()
    found: Found = field(default_factory=Found)

    @property
    def dids(self) -> frozenset[str]:
        """Everybody who is left out, as far as they are resolved."""
        return frozenset(filter(None, map(self._did_of, self.names)))

    @property
    def unresolved(self) -> tuple[Named, ...]:
        """The names behind which there may be anybody."""
        return tuple(name for name in self.names if self._did_of(name) is None)

    def rows(self) -> list[dict[str, str | None]]:
        """Give what dbt needs: each name of each person; for one that is not resolved, no DID."""
        known = {(did, name) for did in self.dids for name in (did, *self.found.handles.get(did, ()))}
        known |= {(did, name) for name, did in self.found.dids.items() if did in self.dids}
        rows: list[dict[str, str | None]] = [{"did": did, "name": name} for did, name in sorted(known)]
        return rows + [{"did": None, "name": name.place} for name in self.unresolved]

    def _did_of(self, name: Named) -> str | None:
        if name.person is None or is_did(name.person):
            return name.person
        return self.found.dids.get(name.person)


def read_left_out(pipeline_name: str, variable: object = None) -> LeftOut:
    """Read who is left out of what a pipeline's lake shows.

    Args:
        pipeline_name: `bluesky`, or `bluesky_sample`: no setting of the real network reaches the sample.
        variable: dbt's `unpublished_dids`; if None, what `dbt_project.yml` says.

    Raises:
        LakeError: The lake cannot be read as configured.
    """
    settings = duckdb_settings(pipeline_name)
    configured = dlt.config.get("sources.bluesky.left_out") if pipeline_name == "bluesky" else None
    if variable is None:
        variable = _variable_of(PROJECT_ROOT / "dbt")
    file, found = _read_files(settings)
    names = (
        *_named(configured, "left_out in [sources.bluesky]"),
        *_named(variable, f"dbt's variable {VARIABLE}"),
        *_named_in_file(file, f"{PEOPLE}/{NAMES_FILE} in the bucket"),
    )
    return LeftOut(names, found)


def keep_found(pipeline: dlt.Pipeline, found: Found) -> None:
    """Write what is known of those who are left out beside the data set."""
    client = filesystem_client(pipeline)
    folder = client.pathlib.join(client.bucket_path, PEOPLE)
    client.fs_client.makedirs(folder, exist_ok=True)
    written = msgspec.json.format(msgspec.json.encode(found, order="sorted"), indent=2).decode()
    client.fs_client.write_text(client.pathlib.join(folder, FOUND_FILE), f"{written}\n", encoding="utf-8")


def _variable_of(project: Path) -> object:
    variables = (yaml.safe_load((project / "dbt_project.yml").read_text(encoding="utf-8")) or {}).get("vars") or {}
    return variables.get(VARIABLE)


def _named(value: object, place: str) -> Iterator[Named]:
    """Read a setting: a list, a text with names in it, or a list in a text."""
    if value is None:
        return
    if isinstance(value, str) and value.lstrip("\ufeff \t\r\n").startswith("["):
        with suppress(ValueError):  # Else its words are read as they stand.
            value = json.loads(value.lstrip("\ufeff"))
    words: list[str] = []
    for entry in value if isinstance(value, (list, tuple)) else [value]:
        words += names_in(entry) if isinstance(entry, str) else [_NO_NAME]
    for number, word in enumerate(words, start=1):
        yield Named(f"Name {number} of {place}", person_named(word))


def _named_in_file(content: bytes, place: str) -> Iterator[Named]:
    """Read the file: names, and what follows a `#` at a line's beginning or after a space is a comment."""
    try:
        text = content.decode(_ENCODINGS.get(content[:2], "utf-8-sig"))
    except UnicodeDecodeError:
        yield Named(f"{place}, which is not UTF-8,", None)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        for word in names_in(_COMMENT.sub("", line)):
            yield Named(f"Line {number} of {place}", person_named(word))


def _read_files(settings: DuckDBSettings) -> tuple[bytes, Found]:
    try:
        with closing(duckdb.connect()) as connection:
            settings.configure(connection)
            names, found = (_content(connection, settings.people_path, name) for name in (NAMES_FILE, FOUND_FILE))
        return names, msgspec.json.decode(found, type=Found) if found else Found()
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
    except ValueError as error:
        reason = f"{FOUND_FILE}: {error}"
    raise LakeError(f"{settings.people_path}/ cannot be read, which says who is left out: {reason}")


def _content(connection: duckdb.DuckDBPyConnection, folder: str, name: str) -> bytes:
    """Read a file; nothing where there is none."""
    # A pattern has its files listed. Of a plain name in a bucket, DuckDB takes for granted that it is there.
    listed = connection.execute("select file from glob($1)", [f"{as_pattern(folder)}/{name}*"]).fetchall()
    paths = [path for (path,) in listed if re.split(r"[/\\]", path)[-1] == name]
    if not paths:
        return b""
    row: Any = connection.execute("select content from read_blob($1)", [as_pattern(paths[0])]).fetchone()
    return bytes(row[0])
