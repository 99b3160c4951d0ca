"""The jobs of these tests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.job import run_process

if TYPE_CHECKING:
    import pytest


def test_a_job_has_the_settings_of_its_own_test(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ONE_SETTING", "ANOTHER_SETTING"):
        with monkeypatch.context() as patch:
            patch.setenv(name, name)
            assert run_process(os.execlp, "sh", "sh", "-c", f'test "$ONE_SETTING$ANOTHER_SETTING" = {name}') == 0
