"""What is set and read by nobody is said, with the file, the section and what was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from dlt.common.configuration.exceptions import ConfigValueCannotBeCoercedException

from docs.settings import read_settings
from pipelines import export, report
from pipelines.explain import explain
from pipelines.lake.bucket import PROJECT_ROOT
from pipelines.lake.unknown_settings import SETTINGS, unknown_settings
from pipelines.retention import configured_retention

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Lake

ONLY_SECRET = {"motherduck_token", "handle", "app_password", "webhook_password", "salt"}
"""What `example.secrets.toml` has, and `full`, which a command line gives."""


def test_all_settings_that_are_shipped_are_known() -> None:
    shipped = read_settings((PROJECT_ROOT / ".dlt" / "config.toml").read_text(encoding="utf-8"))
    names = {section.names[0]: {setting.name for setting in section.settings} for section in shipped}
    for section, known in SETTINGS.items():
        assert known - ONLY_SECRET - {"full"} == names[section]


@pytest.mark.parametrize("section", sorted(SETTINGS))
def test_each_known_key_without_a_letter_is_named(
    section: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DLT_PROJECT_DIR", str(tmp_path))
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(
        f"[{section}]\n" + "".join(f"{key} = 1\n{key[:-1]}_ = 1\n" for key in SETTINGS[section]), encoding="utf-8"
    )
    assert sorted(unknown_settings()) == sorted(
        f".dlt/config.toml: nobody reads {key[:-1]}_ in [{section}]. Did you mean {key}?" for key in SETTINGS[section]
    )


@pytest.mark.parametrize("content", ["", "[sources]\nbluesky = 3\n", "[page", "[sources.bluesky.author_feed]\nx = 1\n"])
def test_what_is_none_of_ours_is_passed_over(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DLT_PROJECT_DIR", str(tmp_path))
    (tmp_path / ".dlt").mkdir()
    (tmp_path / ".dlt" / "config.toml").write_text(content, encoding="utf-8")
    (tmp_path / ".dlt" / "secrets.toml").write_text("", encoding="utf-8")
    assert unknown_settings() == []


@pytest.mark.parametrize(
    "command", [report.main, lambda _: export.main(["ids", "--out", "out"])], ids=["report", "export"]
)
def test_a_command_says_what_nobody_reads(
    lake: Lake, capsys: pytest.CaptureFixture[str], command: Callable[[list[str]], int]
) -> None:
    (lake.folder / ".dlt" / "secrets.toml").write_text("[page]\ncontakt = 'me'\n")
    assert command([]) == 1, "there is no warehouse"
    told, _ = capsys.readouterr().err.splitlines()
    assert told == ".dlt/secrets.toml: nobody reads contakt in [page]. Did you mean contact?"


def test_a_value_of_another_kind_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETENTION__KEEP_DELETED_DAYS", "soon")
    with pytest.raises(ConfigValueCannotBeCoercedException) as caught:
        configured_retention()
    assert explain(caught.value) == (
        "The setting keep_deleted_days in [retention] takes a number:"
        " correct it in .dlt/config.toml or the environment."
    )
