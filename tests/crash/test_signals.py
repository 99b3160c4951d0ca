"""Ctrl-C and SIGTERM at any stage of the job: one line, its exit code, and a lake that the next run goes on from."""

from __future__ import annotations

import random
import signal
from typing import TYPE_CHECKING

import pytest

from pipelines.interruption import INTERRUPTED as LINE
from tests.crash.test_crash import APPVIEW, EXTRACT, FILES, LOAD_STORAGE
from tests.job import AtCall, AtChange
from tests.seeds import RARE, seeds

if TYPE_CHECKING:
    from tests.crash.conftest import Nights

PULL = {
    "page 2 was read": AtCall(APPVIEW, "feed_page", "after", 2),
    "the working folder is put in order": AtCall("pipelines.bluesky", "recover", "before"),
    "the package is extracted": AtCall(EXTRACT, "commit_new_load_package", "after"),
    "normalize has begun": AtCall(LOAD_STORAGE, "import_extracted_package", "after"),
    "data file 1 is there": AtCall("shutil", "copyfile", "after", 1),
    "the state is there, _dlt_loads not": AtCall(FILES, "_store_load", "before"),
    "DuckDB looks for the load": AtCall("pipelines.bluesky:LakeReader", "expect", "before"),
}
AFTER_THE_PULL = {
    "dbt is at its fifth model": (AtCall("dbt.task.run:ModelRunner", "execute", "before", 5), signal.SIGINT),
    "dbt reads its project": (AtCall("dbt.parser.manifest:ManifestLoader", "load", "before"), signal.SIGTERM),
    "the audit asks": (AtCall("pipelines.bluesky:Auditing", "audit", "before"), signal.SIGTERM),
    "dbt is at its hundredth model": (AtCall("dbt.task.run:ModelRunner", "execute", "before", 100), signal.SIGTERM),
    "the page is drawn": (AtCall("pipelines.report", "render", "before"), signal.SIGTERM),
}


def assert_ended_in_one_line(nights: Nights, code: int, number: int) -> None:
    said = nights.output.read_text()
    assert code == 128 + number, said
    assert said.splitlines()[-1] == LINE
    assert "Traceback" not in said
    assert sum("rror" in line for line in said.splitlines()) == 0, said
    nights.assert_whole()


@pytest.mark.parametrize(
    ("stage", "number"),
    [
        pytest.param(
            stage,
            number,
            id=f"{name}, {number.name}",
            marks=marks if name != "page 2 was read" else () if number == signal.SIGINT else pytest.mark.slow,
        )
        for name, stage in PULL.items()
        for number, marks in ((signal.SIGINT, RARE), (signal.SIGTERM, pytest.mark.slow))
    ],
)
def test_a_pull_that_is_told_to_end(nights: Nights, stage: AtCall, number: signal.Signals) -> None:
    code = nights.run(AtCall(stage.owner, stage.function, stage.when, stage.call, number))
    assert_ended_in_one_line(nights, code, number)
    assert nights.run() == 0
    assert nights.items() == nights.feed_items(nights.server.day).keys()
    nights.assert_complete()


@pytest.mark.parametrize(
    ("stage", "number"),
    [
        pytest.param(stage, number, id=name, marks=RARE)  # On each change: `test_whole_job.py`.
        for name, (stage, number) in AFTER_THE_PULL.items()
    ],
)
def test_a_job_that_is_told_to_end_after_its_pull(nights: Nights, stage: AtCall, number: int) -> None:
    code = nights.run(AtCall(stage.owner, stage.function, stage.when, stage.call, number), arguments=())
    assert_ended_in_one_line(nights, code, number)
    assert nights.run() == 0
    assert nights.items() == nights.feed_items(nights.server.day).keys()


@pytest.mark.parametrize("seed", seeds(20, by_default=0, on_each_change=1))
def test_signals_at_random_moments(nights: Nights, seed: int) -> None:
    chance = random.Random(seed)
    number = chance.choice((signal.SIGINT, signal.SIGTERM))
    code = nights.run(AtChange(chance.randint(1, 300), number))
    if code:
        assert_ended_in_one_line(nights, code, number)
    assert nights.run() == 0
    nights.assert_complete()
