"""What the columns of marts mean, by their names: the one place that says which of them name somebody, and how.

A mart that is exported row by row is filtered, and its people get other names, by this alone. So a column of text that
is not listed here has no meaning, and whoever asks for its mart is told so: a new column is given its place first.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import duckdb


class Meaning(Enum):
    """What stands in a column."""

    PERSON = auto()
    """A DID."""
    RECORD = auto()
    """An at:// URI of a record or, with a DID alone, of a person."""
    PACK = auto()
    """A pack's URI, or `all`; a list of them."""
    NAME = auto()
    """A handle or a display name, of the person whose DID stands in the column of the same prefix."""
    WORDS = auto()
    """What somebody wrote, or an address."""
    ADDRESS = auto()
    """Where bsky.app shows a person or a record whose DID or URI stands in the same row."""
    ABOUT = auto()
    """What somebody says of themself, or shows: whoever reads it knows who it is."""
    CODES = auto()
    """Short words of records: languages, labels, types."""
    CONTENT = auto()
    """A hash of a record."""
    OURS = auto()
    """Words of this project, numbers, times."""
    PLACE = auto()
    """Where in the lake a row came from, or by what dbt finds it: a number made of a URI tells whose it is."""


@dataclass(frozen=True)
class Column:
    """A column of a mart.

    Attributes:
        name: Its name.
        data_type: DuckDB's.
        description: What dbt says of it.
        meaning: What stands in it; None where nobody has said so.
    """

    name: str
    data_type: str
    description: str
    meaning: Meaning | None

    @property
    def is_optional(self) -> bool:
        """Whether a row says something without it, too: what may not be shown of it is left empty."""
        return self.name in _OPTIONAL or self.meaning in (Meaning.NAME, Meaning.ABOUT, Meaning.CODES)

    @property
    def is_list(self) -> bool:
        """Whether there are lists or structs in it."""
        return self.data_type.endswith("]") or self.data_type.startswith("STRUCT")


_MEANINGS: Final = {
    Meaning.PERSON: {"did"},
    Meaning.PACK: {"pack_uri", "pack_uris"},
    Meaning.NAME: {"handle", "display_name"},
    Meaning.WORDS: {
        *("text", "alt_text", "card_title", "card_description", "title", "hashtag", "tag_as_written"),
        *("link_uri", "domain", "pack_name"),
    },
    Meaning.ADDRESS: {"post_url", "pack_url", "profile_url"},
    Meaning.ABOUT: {"description", "avatar_url", "links"},
    Meaning.CODES: {"labels", "self_labels", "langs", "primary_language", "embed_type"},
    Meaning.CONTENT: {"post_cid"},
    Meaning.OURS: {
        *("kind", "media_kind", "link_type", "seed_type", "status", "period", "change"),
        *("deleted_because", "gone_because", "hidden_because", "withheld_because", "began_because", "ended_because"),
        *("schema_name", "table_name", "column_name", "data_type", "previous_data_type", "load_id"),
    },
    # post_key: of a warehouse that has not been built since it was renamed.
    Meaning.PLACE: {"source_file", "file_row_number", "batch_number", "post_sort_key", "post_key"},
}
_MEANING_OF: Final = {name: meaning for meaning, names in _MEANINGS.items() for name in names}
_SUFFIXES: Final = {
    "_did": Meaning.PERSON,
    "_uri": Meaning.RECORD,
    "_handle": Meaning.NAME,
    "_display_name": Meaning.NAME,
}
_OPTIONAL: Final = {
    *("reply_parent_uri", "reply_parent_did", "thread_root_uri", "quoted_uri", "quoted_did", "subject_uri"),
    *("pinned_post_uri", "joined_via_pack_uri", "text", "alt_text", "card_title", "card_description"),
}


def meaning_of(name: str, data_type: str) -> Meaning | None:
    """Tell what stands in a column; None where nobody has said so."""
    if name in _MEANING_OF:
        return _MEANING_OF[name]
    if "VARCHAR" not in data_type:
        return Meaning.OURS if not data_type.startswith(("STRUCT", "MAP", "JSON", "UNION", "BLOB")) else None
    return next((meaning for suffix, meaning in _SUFFIXES.items() if name.endswith(suffix)), None)


def columns_of(marts: duckdb.DuckDBPyConnection) -> dict[str, list[Column]]:
    """Read the columns of all marts, in their order; dbt has written their descriptions into the warehouse.

    All at once: DuckDB goes through its whole catalog for one mart too.
    """
    rows = marts.execute(
        "select table_name, column_name, data_type, coalesce(comment, '') from duckdb_columns()"
        " where schema_name = 'main' and not internal order by table_name, column_index"
    ).fetchall()
    columns: dict[str, list[Column]] = {}
    for mart, name, kind, said in rows:
        columns.setdefault(mart, []).append(Column(name, kind, said, meaning_of(name, kind)))
    return columns
