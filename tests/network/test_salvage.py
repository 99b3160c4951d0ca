"""Splitting a page by brackets and strings, whatever stands in them."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.network.salvage import members, save_page, split_container

values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(st.sampled_from('a"\\[]{},:é'))),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=4)),
    max_leaves=20,
)


@given(elements=st.lists(values))
def test_a_list_is_split_where_its_elements_end(elements: list[object]) -> None:
    container = split_container(json.dumps(elements).encode())
    assert container is not None
    assert container.is_whole
    assert [json.loads(part) for part in container.parts] == elements


@given(content=st.dictionaries(st.sampled_from("abc"), values))
def test_an_object_is_split_where_its_members_end(content: dict[str, object]) -> None:
    found = members(json.dumps(content, ensure_ascii=False).encode())
    assert {key: json.loads(value) for key, value in found.items()} == content


@pytest.mark.parametrize("filler", [b'\\"', b'"', b"\\", b"[", b"]", b"{", b'{"', b'["\\', b'"a":'])
@pytest.mark.parametrize("beginning", [b'{"feed":["', b'{"feed":[', b"[", b""])
def test_the_time_grows_with_the_size_alone(beginning: bytes, filler: bytes) -> None:
    begun = time.process_time()
    save_page(beginning + filler * 30_000, "feed")
    assert time.process_time() - begun < 1.5
