"""Writes docs/settings.md from `.dlt/config.toml`: each setting, its default, and the comment that stands with it.

python docs/settings.py
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import tomlkit
from tomlkit.items import Comment, Table, Whitespace

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

    from tomlkit import TOMLDocument
    from tomlkit.items import Item, Key

    _Body: TypeAlias = list[tuple[Key | None, Item]]

PAGE: Final = Path(__file__).with_suffix(".md")
CONFIG: Final = PAGE.parents[1] / ".dlt" / "config.toml"

INTRODUCTION: Final = """\
<!-- Written by `uv run python docs/settings.py` from .dlt/config.toml: change the comments there. -->

# Settings

Every setting has a working default in [`.dlt/config.toml`](../.dlt/config.toml). Change it there, or set an environment
variable, which wins: the section and the name in capitals, joined by two underscores, with lists and numbers as in
JSON. Options of the commands (`--help`) are for one run and win over both.

Keys, passwords and a log-in belong in `.dlt/secrets.toml`:
[`.dlt/example.secrets.toml`](../.dlt/example.secrets.toml) has a part for each kind of bucket. After how many days
somebody counts as quiet or as out of sight are variables of dbt: [`dbt/dbt_project.yml`](../dbt/dbt_project.yml).
"""

_UNSET: Final = re.compile(r"#\s*(?P<name>\w+) = (?P<value>.+?)\s+#\s*(?P<description>.+)")


@dataclass(frozen=True)
class Setting:
    """One line of a section.

    Attributes:
        name: Its key.
        default: Its value as TOML; empty where the line is commented out, so that nothing is set.
        description: What the file says of it.
    """

    name: str
    default: str
    description: str


@dataclass
class Section:
    """One section of the file, or several that have the same content.

    Attributes:
        names: Their headers, without brackets.
        description: The comment above the first header.
        settings: Its lines.
    """

    names: list[str]
    description: str
    settings: list[Setting] = field(default_factory=list)


def read_settings(text: str) -> list[Section]:
    """Read the sections of a settings file, and the comments as what is said of them.

    A comment beside a setting, or above it, describes the setting; one above a header, the section. A setting that the
    file gives several times, in sections of one kind, is described once.
    """
    sections: list[Section] = []
    above: list[str] = []
    known: dict[tuple[str, str], str] = {}
    for name, body in _bodies(tomlkit.parse(text)):
        section = Section([name], " ".join(above))
        above = []
        for key, item in body:
            if isinstance(item, Comment):
                line = item.as_string().strip()
                if unset := _UNSET.fullmatch(line):
                    section.settings.append(Setting(unset["name"], "", unset["description"]))
                else:
                    above.append(line.removeprefix("#").strip())
            elif isinstance(item, Whitespace):
                above = []
            elif key is not None and not isinstance(item, Table):
                beside = item.trivia.comment.removeprefix("#").strip()
                kind = (name.partition(".")[0], key.key)
                description = " ".join(filter(None, [*above, beside])) or known.get(kind, "")
                known.setdefault(kind, description)
                section.settings.append(Setting(key.key, item.as_string().strip(), description))
                above = []
        if sections and not section.description and sections[-1].settings == section.settings:
            sections[-1].names.append(name)
        elif section.settings:
            sections.append(section)
    return sections


def _bodies(container: TOMLDocument | Table, parents: tuple[str, ...] = ()) -> Iterator[tuple[str, _Body]]:
    """Give what stands under each header, in the order of the file."""
    body = container.value.body if isinstance(container, Table) else container.body
    if not (isinstance(container, Table) and container.is_super_table()):
        yield ".".join(parents), body
    for key, item in body:
        if key is not None and isinstance(item, Table):
            yield from _bodies(item, (*parents, key.key))


def page_of(sections: list[Section]) -> str:
    """Write the page."""
    lines = [INTRODUCTION]
    for section in sections:
        name, *others = section.names
        lines += [f"## `[{name}]`", ""]
        if section.description:
            lines += [section.description, ""]
        if others:
            lines += [f"The same in {', '.join(f'`[{other}]`' for other in others)}.", ""]
        lines += ["| setting | default | |", "|---|---|---|"]
        for setting in section.settings:
            default = f"`{setting.default}`" if setting.default else "not set"
            description = setting.description[:1].upper() + setting.description[1:]
            lines.append(f"| `{setting.name}` | {default} | {description} |")
        variable = f"{name.replace('.', '__')}__{section.settings[0].name}".upper()
        lines += ["", f"The first one's environment variable: `{variable}`", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page_of(read_settings(CONFIG.read_text(encoding="utf-8"))), encoding="utf-8")
