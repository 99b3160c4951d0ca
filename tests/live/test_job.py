"""The live job as users run it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines import bluesky, live
from pipelines.events import kafka_client
from pipelines.events.stream import StreamLimits
from pipelines.lake.working_folder import only_one
from tests.live.conftest import QUICK


@pytest.mark.usefixtures("live")
def test_nobody_to_follow_is_told_in_one_line(capsys):  # type: ignore[no-untyped-def]
    assert live.main(["jetstream", "--sample"]) == 1
    told = capsys.readouterr().err
    assert "python pipelines/bluesky.py --sample" in told
    assert told.count("\n") == 1


def test_settings_that_cannot_be_used_are_told_in_one_line(lake, capsys):  # type: ignore[no-untyped-def]
    (lake.folder / ".dlt" / "config.toml").write_text("[warehouse")
    assert live.main(["jetstream", "--all"]) == 1
    told = capsys.readouterr().err
    assert "config.toml" in told
    assert told.count("\n") == 1


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize(
    ("arguments", "settings", "told"),
    [
        (["jetstream", "--all"], {"jetstream_service": "ws://127.0.0.1:9"}, "live.py jetstream --sample"),
        (["firehose", "--all"], {"firehose_service": "ws://127.0.0.1:9"}, "live.py firehose --sample"),
        (["kafka"], {"kafka_settings": '{"bootstrap.servers": "127.0.0.1:9"}'}, "refused"),
        (["kafka", "--produce", "--all"], {"kafka_settings": '{"bootstrap.servers": "127.0.0.1:9"}'}, "refused"),
        (["kafka"], {"kafka_settings": '{"nonsense": "1"}'}, "nonsense"),
        (["kafka", "--produce", "--all"], {"kafka_settings": '{"nonsense": "1"}'}, "nonsense"),
        (["kafka"], {"kafka_settings": "{}", "kafka_value_decoder": "json:no_such"}, "json:no_such"),
        (["webhook"], {"webhook_password": "x", "webhook_port": "9", "webhook_host": "192.0.2.1"}, "cannot listen"),
        (["webhook"], {"webhook_password": ""}, "webhook_password"),
    ],
)
def test_what_a_user_can_cause_is_told_in_one_line_and_the_sample_where_there_is_one(  # type: ignore[no-untyped-def]
    arguments, settings, told, monkeypatch, capsys
):
    monkeypatch.setattr(kafka_client, "ANSWER_SECONDS", (0.3,))
    spool = {"webhook_spool": str(Path(os.environ["DLT_PROJECT_DIR"], "spool.sqlite"))}
    for name, value in {**spool, **settings}.items():
        monkeypatch.setenv(f"SOURCES__REPO_EVENTS__{name.upper()}", value)
    assert live.main(arguments, limits=StreamLimits(longest_backoff=0.02)) == 1
    line = capsys.readouterr().err
    assert told in line
    assert line.count("\n") == 1
    assert ("--sample" in line) == ("--sample" in told)


@pytest.mark.slow
@pytest.mark.usefixtures("live")
def test_the_sample_can_be_heard_after_it_was_pulled(capsys):  # type: ignore[no-untyped-def]
    assert bluesky.main(["--sample", "--day", "2", "--no-transform", "--no-report"]) == 0
    assert live.main(["jetstream", "--sample", "--until-caught-up"], limits=QUICK) == 0
    assert " loaded in 1 batches" in capsys.readouterr().out
    assert live.main(["jetstream", "--sample", "--until-caught-up"], limits=QUICK) == 0
    assert "0 loaded" in capsys.readouterr().out


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("90", 90), ("10m", 600), ("1h30m", 5400), ("2h", 7200)])
def test_durations_are_read(text: str, seconds: float) -> None:
    assert live.duration(text) == seconds


@pytest.mark.usefixtures("live")
def test_two_runs_of_one_feed_do_not_share_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    with only_one("bluesky_jetstream"):
        assert live.main(["jetstream", "--all"]) == 1
        assert "Another run of bluesky_jetstream" in capsys.readouterr().err
    with only_one("bluesky_jetstream"):
        pass
