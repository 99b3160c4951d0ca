"""Forgetting and withholding mean the same by a name: whom a report withholds a text for, the scrubber takes out."""

from __future__ import annotations

import re
import sys
import unicodedata
from typing import TYPE_CHECKING

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jinja2 import Environment

from pipelines.lake.bucket import PROJECT_ROOT
from pipelines.lake.forget_tables import may_name
from pipelines.lake.forgotten import Forgotten
from pipelines.lake.names_in_texts import LETTERS_IN_SQL, names_at, pattern_of, plainly_written
from pipelines.lake.scrubbing import Scrubber
from tests.forgetting.written_names import DID, HANDLES, spellings, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

_PUBLISHING = Environment(autoescape=False).from_string(
    (PROJECT_ROOT / "dbt" / "macros" / "publishing.sql").read_text(encoding="utf-8")
)
_NAMES_IN = _PUBLISHING.module.duckdb__names_in("value")  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        for name, value in LETTERS_IN_SQL.items():
            connection.execute(f"set variable {name} = $1", [value])
        # To plan it takes longer than to do it.
        connection.execute(f"prepare named as select {_NAMES_IN} from (select unnest($1::varchar[]) as value)")
        yield connection


def withheld_names(connection: duckdb.DuckDBPyConnection, written: list[str]) -> list[list[str]]:
    literals = ", ".join("'" + text.replace("'", "''") + "'" for text in written)
    return [names for (names,) in connection.execute(f"execute named([{literals}])").fetchall()]


@given(written=st.lists(texts(), min_size=5, max_size=20))
@example(written=[f"{HANDLES[1]}Hello.at://"])
def test_whatever_a_report_withholds_goes(connection: duckdb.DuckDBPyConnection, written: list[str]) -> None:
    named = withheld_names(connection, written)
    scrubbed = []
    for text, names in zip(written, named, strict=True):
        found = list(names_at(text))
        called = {f"@{place.name}" for place in found if place.is_called}
        assert set(names) - {place.name for place in found} - called == set()
        by_name = Scrubber.of({name.removeprefix("@") for name in names})
        scrubbed.append(by_name.text(text))
        assert len(scrubbed[-1].encode()) == len(text.encode())
    for names, left in zip(named, withheld_names(connection, scrubbed), strict=True):
        assert not set(names) & set(left)


@given(written=st.lists(texts(), min_size=5, max_size=20))
def test_the_search_for_rows_misses_none_that_name_them(
    connection: duckdb.DuckDBPyConnection, written: list[str]
) -> None:
    names = sorted({DID, HANDLES[0]})
    by_name, by_hash = Scrubber.of(names), Forgotten().with_people(names).scrubber
    query = f"select {may_name('value', len(names))} from (select unnest($3::varchar[]) as value)"
    patterns = [pattern_of(name.rpartition(":")[2]) for name in names]
    for text, (is_found,) in zip(written, connection.execute(query, [*patterns, written]).fetchall(), strict=True):
        assert is_found or not by_name.finds(text)
        assert by_hash is not None
        assert by_hash.text(text) == by_name.text(text)


@given(spelled=st.lists(spellings(), min_size=5, max_size=20))
def test_a_report_withholds_a_name_however_its_letters_are_written(
    connection: duckdb.DuckDBPyConnection, spelled: list[str]
) -> None:
    assert [set(named) & {DID, *HANDLES} == set() for named in withheld_names(connection, spelled)] == [False] * len(
        spelled
    )


@given(words=st.lists(st.from_regex(r"[A-Z][A-Za-z0-9]{0,9}", fullmatch=True), min_size=5, max_size=20))
def test_a_word_that_a_dot_glues_before_a_name_is_no_part_of_it(
    connection: duckdb.DuckDBPyConnection, words: list[str]
) -> None:
    for handle in HANDLES:
        texts = [f"So.{word}. {word}.{handle}.{word}" for word in words]
        assert all(handle in named for named in withheld_names(connection, texts))
        assert all(Scrubber.of({handle}).text(text) == text.replace(handle, "_" * len(handle)) for text in texts)


def test_every_letter_is_read_that_unicode_counts_as_another_form_of_a_usual_one() -> None:
    letters = map(chr, (*range(0x80, 0xD800), *range(0xE000, sys.maxunicode + 1)))
    unusual = (letter for letter in letters if not unicodedata.is_normalized("NFKC", letter))
    usual = {letter: unicodedata.normalize("NFKC", letter) for letter in unusual}
    others = {letter: name for letter, name in usual.items() if re.fullmatch("[A-Za-z0-9.:%@/-]", name)}
    assert len(others) > 1000
    assert {letter: plainly_written(letter) for letter in others} == others


@given(spelled=spellings(), before=st.sampled_from(["", "@", " ", "é ", "see https://x.test/?to="]))
def test_a_name_goes_however_its_letters_are_written(spelled: str, before: str) -> None:
    scrubber = Scrubber.of({DID, *HANDLES})
    after = scrubber.text(f"{before}{spelled} and all")
    assert "___" in after
    assert after.endswith(" and all")
    assert not scrubber.finds(after)


@pytest.mark.parametrize("called", ["@{}", "at://{}", "https://bsky.app/profile/{}/post/3k"])
def test_a_handle_that_begins_with_www_is_another(called: str) -> None:
    shorter, longer = (Scrubber.of({handle}) for handle in HANDLES)
    for ours, theirs, scrubber in ((*HANDLES, shorter), (*HANDLES[::-1], longer)):
        assert scrubber.finds(called.format(ours))
        assert not scrubber.finds(called.format(theirs))
        assert scrubber.json(f'{{"handle":"{theirs}"}}') == f'{{"handle":"{theirs}"}}'
    assert shorter.finds(f"https://{HANDLES[1]}/about")
    assert not longer.finds(f"https://{HANDLES[0]}/about")
