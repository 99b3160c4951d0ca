"""The live job as users run it."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import dlt
import pytest

from pipelines import bluesky, live
from pipelines.sample.jetstream import SampleJetstream
from pipelines.sources.repo_events import stored_position
from tests.live.conftest import key_of, wait_until
from tests.live.job import start_job

if TYPE_CHECKING:
    from tests.live.conftest import LiveLake


def test_sigterm_finishes_the_batch_and_stores_the_position(live, world_events, tmp_path):  # type: ignore[no-untyped-def]
    events = world_events[-1_000:]
    with SampleJetstream() as server:
        settings = {
            **os.environ,
            "SOURCES__REPO_EVENTS__JETSTREAM_SERVICE": server.url,
            "SOURCES__REPO_EVENTS__COLLECTIONS": '["app.bsky.*"]',
        }
        job = start_job(["jetstream", "--all", "--batch-seconds", "3600"], settings, tmp_path / "log")
        wait_until(lambda: bool(server.connections))
        # The first batch does not wait; all others would, for an hour.

        def is_loading() -> bool:
            server.log.append(events[len(server.log)])
            return bool(live.rows())

        wait_until(is_loading)
        server.log.extend(events[len(server.log) :])
        wait_until(lambda: server.sent >= len(events) - 1)
        assert job.pid is not None
        os.kill(job.pid, signal.SIGTERM)
        job.join(60)
    assert job.exitcode == 0, (tmp_path / "log").read_text()
    numbers = [row["position"] for row in live.rows()]
    first, taken = min(numbers), max(numbers)
    assert live.folded().keys() == {key_of(event) for event in events if first <= event.seq <= taken}
    position = stored_position(live_pipeline(), server.url.removeprefix("ws://"))
    assert position is not None
    assert position["cursor"] == taken


def live_pipeline() -> dlt.Pipeline:
    pipeline = dlt.pipeline("bluesky_jetstream")
    pipeline.sync_destination()
    return pipeline


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
