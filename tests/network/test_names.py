"""Somebody is named, or nobody: no spelling leads to another person, or to none without a word."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.network.names import names_in, person_named
from tests.spellings import DID, DID_SPELLINGS, HANDLE, HANDLE_SPELLINGS, REFUSED


def test_there_are_enough() -> None:
    assert len(set(DID_SPELLINGS) | set(HANDLE_SPELLINGS)) >= 40


@pytest.mark.parametrize("text", DID_SPELLINGS)
def test_a_did_is_read_in_every_spelling(text: str) -> None:
    assert [person_named(word) for word in names_in(text)] == [DID]


@pytest.mark.parametrize("text", HANDLE_SPELLINGS)
def test_a_handle_is_read_in_every_spelling(text: str) -> None:
    assert [person_named(word) for word in names_in(text)] == [HANDLE]


@pytest.mark.parametrize("text", REFUSED)
def test_what_names_nobody_for_certain_is_refused(text: str) -> None:
    named = [person_named(word) for word in names_in(text)]
    assert named
    assert None in named


@pytest.mark.parametrize("text", ["", " ", "\ufeff", "[]", "''", ", ;", "\n\n"])
def test_nothing_names_nobody(text: str) -> None:
    assert names_in(text) == []


def test_several_names_in_one_text_are_several_people() -> None:
    text = f"@{HANDLE}, {DID};\nother.example.com"
    assert [person_named(word) for word in names_in(text)] == [HANDLE, DID, "other.example.com"]


@given(st.text(max_size=40))
def test_every_word_of_any_text_is_somebody_or_refused(text: str) -> None:
    for word in names_in(text):
        person = person_named(word)
        assert person is None or person_named(person) == person


@given(st.integers(0, len(DID) - 1))
def test_a_did_with_a_slip_is_nobodys(place: int) -> None:
    assert person_named(DID[:place] + DID[place + 1 :]) is None
    assert person_named(DID[:place] + "!" + DID[place + 1 :]) is None
