"""Who is left out of what is published: what the settings say, and what the job found out about it.

They are named in three places: `left_out` in dlt's configuration, the file `people/left_out.txt` in the bucket, and
dbt's variable `unpublished_dids`. A handle moves from person to person, so that each is resolved once, by a job that
has a network, and the DID is kept in `people/left_out.json`. dbt and the page read it there.

A name that is not resolved is not passed over: as long as there is one, nobody is published.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import dlt
import msgspec
import yaml

from pipelines.lake.bucket import PROJECT_ROOT, LakeError
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.lake.forgotten import FORGOTTEN_FILE, parse_forgotten
from pipelines.lake.people_files import PEOPLE, read_in_dbt, read_people_file, write_people_file
from pipelines.network.identifiers import is_did
from pipelines.network.names import names_in, person_named

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

    from pipelines.lake.scrubbing import Scrubber

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
        is_looked_up: Whether a job reads it, and asks who has the handle. dbt alone reads what its command line says.
    """

    place: str
    person: str | None
    is_looked_up: bool = True

    def __str__(self) -> str:
        """Say what is wrong with it, in one line."""
        if self.person is None:
            return f"{self.place} names nobody for certain: write a handle, a DID or a link to a profile."
        if not self.is_looked_up:
            return (
                f"{self.place} is a handle, and nobody looks up who has it there: write the person's DID, or name them"
                " in left_out."
            )
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
        return tuple(dict.fromkeys(name for name in self.names if self._did_of(name) is None))

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
        variable: dbt's `unpublished_dids`, as `--vars` gives it; if None, what `dbt_project.yml` says.

    Raises:
        LakeError: The lake cannot be read as configured.
    """
    settings = duckdb_settings(pipeline_name)
    configured = dlt.config.get("sources.bluesky.left_out") if pipeline_name == "bluesky" else None
    in_dbt = (
        _named(_variable_of(PROJECT_ROOT / "dbt"), f"dbt's variable {VARIABLE}")
        if variable is None
        else _named(variable, f"dbt's variable {VARIABLE} in --vars", is_looked_up=False)
    )
    file, found, kept = read_in_dbt(settings, NAMES_FILE, FOUND_FILE, FORGOTTEN_FILE)
    forgotten = parse_forgotten(kept)
    names = (
        *_named(configured, "left_out in [sources.bluesky]"),
        *in_dbt,
        *_named_in_file(file, f"{PEOPLE}/{NAMES_FILE} in the bucket"),
    )
    # Whoever is forgotten is nowhere to be left out of, and would come back into the bucket with their DID.
    names = tuple(name for name in names if not forgotten.names(name.person))
    return LeftOut(names, _parse(found))


def expect_withheld(left_out: LeftOut, marts: duckdb.DuckDBPyConnection) -> None:
    """See that marts were built when every name was found, and after the last was added to the settings.

    Raises:
        LakeError: They were not.
    """
    query = "select count(*) from int_publishable_authors where withheld_because = 'left_out_unresolved'"
    if marts.execute(query).fetchall() != [(0,)]:
        raise LakeError(
            "The marts were built when a name of those who are left out led to nobody, so that they publish nobody:"
            " correct it, and run cd dbt && dbt build; for the sample: --target sample."
        )
    if not left_out.dids:
        return
    query = "select count(*) from int_withheld_names where list_contains($1, withheld_name)"
    if marts.execute(query, [[did.lower() for did in left_out.dids]]).fetchall() != [(len(left_out.dids),)]:
        raise LakeError(
            "The marts are older than the names of those who are left out:"
            " run cd dbt && dbt build; for the sample: --target sample."
        )


def keep_found(pipeline: dlt.Pipeline, found: Found) -> None:
    """Write what is known of those who are left out."""
    written = msgspec.json.format(msgspec.json.encode(found, order="sorted"), indent=2).decode()
    write_people_file(pipeline, FOUND_FILE, f"{written}\n")


def forget_left_out(pipeline: dlt.Pipeline, scrubber: Scrubber) -> None:
    """Take somebody off the list: whoever is forgotten is nowhere to be left out of.

    Args:
        pipeline: Any pipeline of the lake.
        scrubber: Knows the person.

    Raises:
        LakeError: A file about people cannot be read.
    """
    content = read_people_file(pipeline, NAMES_FILE)
    try:
        lines = _decoded(content).splitlines(keepends=True)
    except UnicodeDecodeError as error:
        raise LakeError(f"{PEOPLE}/{NAMES_FILE} in the bucket is not UTF-8: correct it before going on.") from error
    kept = [line for line in lines if not scrubber.finds([line, *map(person_named, names_in(line))])]
    if kept != lines:
        write_people_file(pipeline, NAMES_FILE, "".join(kept))
    found = _parse(read_people_file(pipeline, FOUND_FILE))
    dids = {name: did for name, did in found.dids.items() if not scrubber.finds([name, did])}
    handles = {did: known for did, known in found.handles.items() if not scrubber.finds([did, *known])}
    if (dids, handles) != (found.dids, found.handles):
        keep_found(pipeline, Found(dids, handles))


def _variable_of(project: Path) -> object:
    variables = (yaml.safe_load((project / "dbt_project.yml").read_text(encoding="utf-8")) or {}).get("vars") or {}
    return variables.get(VARIABLE)


def _named(value: object, place: str, *, is_looked_up: bool = True) -> Iterator[Named]:
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
        yield Named(f"Name {number} of {place}", person_named(word), is_looked_up)


def _named_in_file(content: bytes, place: str) -> Iterator[Named]:
    """Read the file: names, and what follows a `#` at a line's beginning or after a space is a comment."""
    try:
        text = _decoded(content)
    except UnicodeDecodeError:
        yield Named(f"{place}, which is not UTF-8,", None)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        for word in names_in(_COMMENT.sub("", line)):
            yield Named(f"Line {number} of {place}", person_named(word))


def _decoded(content: bytes) -> str:
    return content.decode(_ENCODINGS.get(content[:2], "utf-8-sig"))


def _parse(found: bytes) -> Found:
    try:
        return msgspec.json.decode(found, type=Found) if found else Found()
    except ValueError as error:
        place = f"{PEOPLE}/{FOUND_FILE} in the bucket"
        raise LakeError(f"{place} cannot be read ({error}): remove it, and a job makes it anew.") from error
