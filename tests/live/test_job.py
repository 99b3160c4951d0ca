"""The live job as users run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dlt
import pytest

from pipelines import bluesky, live

if TYPE_CHECKING:
    from tests.live.conftest import LiveLake


@pytest.mark.usefixtures("live")
def test_nobody_to_follow_is_told_in_one_line(capsys):  # type: ignore[no-untyped-def]
    assert live.main(["jetstream", "--sample"]) == 1
    told = capsys.readouterr().err
    assert "python pipelines/bluesky.py --sample" in told
    assert told.count("\n") == 1


@pytest.mark.slow
@pytest.mark.usefixtures("live")
def test_the_sample_can_be_heard_after_it_was_pulled(capsys):  # type: ignore[no-untyped-def]
    assert bluesky.main(["--sample", "--day", "2", "--no-transform", "--no-report"]) == 0
    assert live.main(["jetstream", "--sample", "--until-caught-up"]) == 0
    assert " loaded in 1 batches" in capsys.readouterr().out
    assert live.main(["jetstream", "--sample", "--until-caught-up"]) == 0
    assert "0 loaded" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("90", 90), ("10m", 600), ("1h30m", 5400), ("2h", 7200)])
def test_durations_are_read(text: str, seconds: float) -> None:
    assert live.duration(text) == seconds


def test_two_runs_of_one_feed_do_not_share_a_folder(live: LiveLake, capsys: pytest.CaptureFixture[str]) -> None:
    from pipelines.live import _only_one, main  # noqa: PLC0415

    del live
    with _only_one(dlt.pipeline("bluesky_jetstream")):
        assert main(["jetstream", "--all"]) == 1
    assert "Another run of bluesky_jetstream" in capsys.readouterr().err
