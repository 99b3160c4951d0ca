"""Which marts a warehouse has, and which rows and cells of them may be published.

What is in a report (`rpt_`) may be published as it is: dbt has seen to that. Of the other marts, which hold withheld
people and deleted posts too, an export takes what dbt's own models call publishable, by what their columns mean:

- A row of somebody who is withheld, or of whom nothing is known, is left out. So is one of a record that is deleted or
  in doubt, and one that is nothing without a word that names somebody withheld.
- Where a row says something without them, they are left empty: whom a post answers, its text.
- Somebody is in a pack's rows only where that pack's reports have them.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from jinja2 import Environment

from pipelines.exports.columns import Column, Meaning, columns_of
from pipelines.lake.bucket import PROJECT_ROOT
from pipelines.lake.names_in_texts import LETTERS_IN_SQL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import duckdb

REPORT: Final = "rpt_"
_MARTS: Final = (REPORT, "fct_", "dim_", "bridge_")
_BY_THEIR_NAMES: Final = {
    "dim_starter_packs": "a pack of one is called by that person's name: rpt_packs has what may be published of it",
}
"""Marts of which the columns alone do not say what may be published, and why."""

_STANDS: Final = {
    "is_deleted": "is_deleted is not true",
    "is_gone": "is_gone is not true",
    "is_in_doubt": "is_in_doubt is not true",
    "ended_before": "ended_before is null",
}
"""What holds of a row whose record its author has not taken back, by the column that says so."""

_PUBLISHABLE: Final = """
create or replace temp view export_people as
select did from int_publishable_authors where is_publishable;

create or replace temp view export_withheld_records as
select subject_uri as uri from int_deletions
union select uri from int_records_in_doubt
union select post_uri from int_stale_posts inner join fct_posts using (post_uri)
union select repost_uri from int_reposts where not is_publishable;

create or replace temp view export_withheld_keys as
select coalesce(list(distinct split_part(uri, '/', 5)), []) as keys from export_withheld_records;
"""

# A card of a link to a post has the post's words. Keys of records are made of the time, so that in whatever kind of
# address one stands, it tells the record.
_LINKS_TO_NO_WITHHELD_RECORD: Final = """
not list_has_any(regexp_extract_all(link_uri, '[2-7a-z]{13}'), (select keys from export_withheld_keys))
"""

_CARD: Final = ("card_title", "card_description")
_MACROS: Final = PROJECT_ROOT / "dbt" / "macros" / "publishing.sql"


# A dot before a letter, a DID's beginning, and what dbt's macro reads as another letter or as none.
_MAY_NAME_SOMEBODY: Final = """(
    regexp_matches({text}, '[.][A-Za-z0-9]|[Dd][Ii][Dd]:|%')
    or regexp_matches({text}, getvariable('unusual')) or regexp_matches({text}, getvariable('invisible'))
)"""


class ExportError(Exception):
    """Nothing is exported. The message says why and what to do, in one line."""


@dataclass(frozen=True)
class Mart:
    """A mart that is exported.

    Attributes:
        name: The model's.
        description: What dbt says of it.
        columns: Those that are exported.
        query: Selects what is exported.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    query: str


def choose(
    marts: duckdb.DuckDBPyConnection, names: Sequence[str], *, is_all: bool, is_renamed: bool = False
) -> list[Mart]:
    """Say what is exported of which marts.

    Args:
        marts: The warehouse.
        names: The models that are asked for; if none, all of which it is known what may be published.
        is_all: Whether also what may not be published is exported.
        is_renamed: Whether people get other names in it: then all of its columns must have a meaning.

    Raises:
        ExportError: There is no such model, or it is not known what of it may be published, or who is named in it.
    """
    described = _marts_in(marts)
    for name in names:
        if name not in described:
            close = difflib.get_close_matches(name, described, n=1)
            meant = f" Did you mean {close[0]}?" if close else f" There are {', '.join(described)}."
            raise ExportError(f"There is no mart {name!r} in the warehouse.{meant}")
    marts.execute(_PUBLISHABLE)
    for variable, letters in LETTERS_IN_SQL.items():
        marts.execute(f"set variable {variable} = $1", [letters])
    chosen = []
    columns_of_marts = columns_of(marts)
    for name in names or described:
        columns = columns_of_marts[name]
        reason = _why_not(name, columns, is_all=is_all, is_renamed=is_renamed)
        if reason is None:
            if is_renamed:
                columns = [column for column in columns if column.meaning is not Meaning.PLACE]
            chosen.append(_mart(name, described[name], columns, is_all=is_all))
        elif names:
            raise ExportError(
                f"{name} is not exported{' with --pseudonyms' if is_all else ' without --all'}: {reason}."
            )
    return chosen


def _marts_in(marts: duckdb.DuckDBPyConnection) -> dict[str, str]:
    rows = marts.execute(
        "select table_name, coalesce(comment, '') from duckdb_tables() where schema_name = 'main' and not internal"
        " union all"
        " select view_name, coalesce(comment, '') from duckdb_views() where schema_name = 'main' and not internal"
        " order by 1"
    ).fetchall()
    return {name: description for name, description in rows if name.startswith(_MARTS)}


def _why_not(name: str, columns: Iterable[Column], *, is_all: bool, is_renamed: bool) -> str | None:
    is_as_it_is = is_all or name.startswith(REPORT)
    if not is_as_it_is and name in _BY_THEIR_NAMES:
        return _BY_THEIR_NAMES[name]
    unknown = [column.name for column in columns if column.meaning is None]
    if unknown and (is_renamed or not is_as_it_is):
        return f"nobody has said what its column {unknown[0]} means, so that it may name anybody"
    return None


def _mart(name: str, description: str, columns: list[Column], *, is_all: bool) -> Mart:
    if is_all or name.startswith(REPORT):
        cells = ", ".join(quoted(column.name) for column in columns)
        return Mart(name, description, tuple(columns), f"select {cells} from {quoted(name)}")
    kept = tuple(column for column in columns if column.meaning is not Meaning.PLACE)
    return Mart(name, description, kept, _published(name, kept))


def _published(name: str, columns: Sequence[Column]) -> str:
    """Select what may be published of a mart."""
    cells, conditions = [], []
    of_person = {column.name for column in columns if column.meaning is Meaning.PERSON}
    for column in columns:
        cell = quoted(column.name)
        may_be_shown = _condition(name, column, of_person)
        if column.meaning is Meaning.PACK:
            packs = "(select published_uri from int_published_packs as packs where packs.pack_uri = marts.pack_uri)"
            cells.append(f"{packs} as {cell}")
        elif may_be_shown is None:
            cells.append(cell)
        elif column.is_optional:
            cells.append(f"case when {may_be_shown} then {cell} end as {cell}")
        else:
            cells.append(cell)
            conditions.append(f"({cell} is null or {may_be_shown})")
    conditions += [_STANDS[column.name] for column in columns if column.name in _STANDS]
    if {"pack_uri", "did"} <= {column.name for column in columns}:
        members = (
            "select packs.pack_uri, members.did from int_report_members as members"
            " inner join int_published_packs as packs on members.pack_uri = packs.published_uri"
        )
        conditions.append(f"(pack_uri, did) in ({members})")
    where = " and ".join(["true", *conditions])
    return f"select {', '.join(cells)} from {quoted(name)} as marts where {where}"


def _condition(mart: str, column: Column, of_person: set[str]) -> str | None:
    cell = quoted(column.name)
    match column.meaning:
        case Meaning.PERSON:
            return f"{cell} in (select did from export_people)"
        case Meaning.RECORD:
            return (
                f"split_part(substr({cell}, 6), '/', 1) in (select did from export_people)"
                f" and {cell} not in (select uri from export_withheld_records)"
            )
        case Meaning.NAME:
            prefix = column.name.removesuffix("display_name").removesuffix("handle")
            named = _names_nobody_withheld(mart, column)
            if f"{prefix}did" not in of_person:
                return "false"
            return f"{quoted(f'{prefix}did')} in (select did from export_people) and {named}"
        case Meaning.WORDS | Meaning.ABOUT | Meaning.CODES:
            named = _names_nobody_withheld(mart, column)
            return f"{named} and {_LINKS_TO_NO_WITHHELD_RECORD}" if column.name in _CARD else named
    return None


def quoted(name: str) -> str:
    """Write a name so that SQL takes it as one."""
    return '"' + name.replace('"', '""') + '"'


def _names_nobody_withheld(mart: str, column: Column) -> str:
    """Say in SQL that a text names nobody who is withheld, as reports do; null names nobody.

    dbt's look at a text takes long, and most have nothing in them that stands in all handles and DIDs: so the few that
    name somebody are found first, each once.
    """
    cell = quoted(column.name)
    text = f"cast({cell} as varchar)" if column.is_list else cell
    texts = f"select distinct {text} as text from {quoted(mart)} where {_MAY_NAME_SOMEBODY.format(text=text)}"
    named = f"select text, unnest({_names_in('text')}) as name from ({texts})"
    withheld = f"select text from ({named}) inner join int_withheld_names on name = withheld_name"
    return f"({text} is null or {text} not in ({withheld}))"


@cache
def _names_in(text: str) -> str:
    """Read dbt's macro that finds all names in a text; it needs of dbt no more than these two words."""
    dbt = Environment(autoescape=False)
    dbt.globals |= {"return": str, "ref": quoted}
    macros = dbt.from_string(_MACROS.read_text(encoding="utf-8")).module
    return str(macros.duckdb__names_in(text))  # type: ignore[attr-defined]
