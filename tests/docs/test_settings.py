"""The page of all settings says what the settings file says."""

from __future__ import annotations

import tomllib
from typing import Any

from docs.settings import CONFIG, PAGE, page_of, read_settings

EXAMPLE = """
# What belongs to the whole file.

# The first kind.
[kind.one]
beside = 1.0   # said beside
# said above
above = ["a"]
# unset = 7     # what it would do

[kind.two]
beside = 1.0
above = ["a"]
# unset = 7     # what it would do
"""


def test_the_page_is_what_the_generator_writes() -> None:
    written = page_of(read_settings(CONFIG.read_text(encoding="utf-8")))
    assert PAGE.read_text(encoding="utf-8") == written, "regenerate with: uv run python docs/settings.py"


def test_every_setting_is_on_the_page_and_described() -> None:
    sections = read_settings(CONFIG.read_text(encoding="utf-8"))
    settings = {
        (name, setting.name): setting for section in sections for name in section.names for setting in section.settings
    }
    expected = set(_keys(tomllib.loads(CONFIG.read_text(encoding="utf-8"))))
    assert {key for key, setting in settings.items() if setting.default} == expected
    assert [key for key, setting in settings.items() if not setting.description] == []


def _keys(table: dict[str, Any], parents: tuple[str, ...] = ()) -> list[tuple[str, str]]:
    keys = []
    for name, value in table.items():
        keys += _keys(value, (*parents, name)) if isinstance(value, dict) else [(".".join(parents), name)]
    return keys


def test_comments_beside_and_above_describe_and_sections_of_one_content_are_one() -> None:
    (section,) = read_settings(EXAMPLE)
    assert section.names == ["kind.one", "kind.two"]
    assert section.description == "The first kind."
    assert [(setting.name, setting.default, setting.description) for setting in section.settings] == [
        ("beside", "1.0", "said beside"),
        ("above", '["a"]', "said above"),
        ("unset", "", "what it would do"),
    ]
