"""Splitting a page by brackets and strings, whatever stands in them."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.network import json_shape
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


def depth_of(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return isinstance(value, dict | list) + max(map(depth_of, inner), default=0)


@given(value=values, most=st.integers(0, 5))
def test_the_depth_is_that_of_the_brackets_outside_strings(value: object, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_shape, "MOST_DEPTH", most)
        for text in (json.dumps(value), json.dumps(value, ensure_ascii=False)):
            with nullcontext() if depth_of(value) <= most else pytest.raises(json_shape.TooDeep):
                json_shape.expect_sane(text.encode())


@pytest.mark.parametrize("filler", [b'\\"', b'"', b"\\", b"[", b"]", b"{", b'{"', b'["\\', b'"a":'])
@pytest.mark.parametrize("beginning", [b'{"feed":["', b'{"feed":[', b"[", b""])
def test_the_time_grows_with_the_size_alone(beginning: bytes, filler: bytes) -> None:
    begun = time.process_time()
    save_page(beginning + filler * 30_000, "feed")
    with suppress(ValueError):
        json_shape.expect_sane(beginning + filler * 300_000)
    assert time.process_time() - begun < 1.5
