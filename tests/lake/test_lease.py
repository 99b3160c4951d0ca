"""One job at a time writes the lake's files anew, and one that was killed keeps nobody away for long."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from pipelines.lake.lease import LASTS, LeaseTaken, lease
from pipelines.lake.working_folder import open_pipeline
from tests.place_laws import assert_one_of_many_has_a_lease

if TYPE_CHECKING:
    from pathlib import Path

    import dlt

    from tests.conftest import Lake


@pytest.fixture
def pipeline(lake: Lake) -> dlt.Pipeline:
    return open_pipeline("bluesky_compact")


def lease_file(lake: Lake) -> Path:
    [file] = (lake.dataset / "_leases").iterdir()
    return file


def on_another_machine(lake: Lake, until: float) -> None:
    lease_file(lake).write_text(json.dumps({"owner": "another", "home": "another.example:/dlt", "until": until}))


def test_of_those_who_try_at_once_one_has_it(pipeline: dlt.Pipeline) -> None:
    assert_one_of_many_has_a_lease(pipeline)


def test_whoever_comes_later_waits_on_this_machine_and_on_another(lake: Lake, pipeline: dlt.Pipeline) -> None:
    with (
        lease(pipeline),
        pytest.raises(LeaseTaken, match="Another job is writing files of this lake anew: run"),
    ):
        lease(pipeline).__enter__()
    on_another_machine(lake, time.time() + 60)
    with pytest.raises(LeaseTaken, match="UTC at the latest"):
        lease(pipeline).__enter__()
    on_another_machine(lake, time.time() - 1)
    with lease(pipeline):
        pass


def test_a_job_that_was_killed_on_this_machine_keeps_nobody_away(lake: Lake, pipeline: dlt.Pipeline) -> None:
    with lease(pipeline):
        left_behind = lease_file(lake).read_bytes()
    assert json.loads(left_behind)["until"] > time.time() + LASTS / 2
    lease_file(lake).write_bytes(left_behind)
    with lease(pipeline):
        pass
    for damaged in (
        b"",
        b"[",
        left_behind[:7],
        b"null",
        b"[]",
        b'{"until": "x"}',
        b'{"until": Infinity}',
        b'{"until": null}',
    ):
        lease_file(lake).write_bytes(damaged)
        with lease(pipeline):
            pass


def test_whoever_was_too_slow_is_told_before_the_next_change(lake: Lake, pipeline: dlt.Pipeline) -> None:
    with lease(pipeline) as held:
        held.renew()
        number = int(lease_file(lake).stem)
        lease_file(lake).with_stem(f"{number + 1:08d}").write_bytes(lease_file(lake).read_bytes())
        with pytest.raises(LeaseTaken):
            held.renew()


def test_a_lease_of_a_machine_whose_clock_is_a_year_ahead_keeps_nobody_away(lake: Lake, pipeline: dlt.Pipeline) -> None:
    with lease(pipeline):
        pass
    on_another_machine(lake, time.time() + 366 * 86_400)
    with lease(pipeline):
        pass


def test_a_file_system_without_links_has_leases(
    lake: Lake, pipeline: dlt.Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    assert_one_of_many_has_a_lease(pipeline)
    assert [file.name for file in (lake.dataset / "_leases").iterdir()] == ["00000001.json"]
