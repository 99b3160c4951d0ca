"""The nightly job from its command line: what it prints and how it exits."""

from __future__ import annotations

import math
import re
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest

from pipelines import bluesky
from pipelines.bluesky import main
from pipelines.lake.bucket import PROJECT_ROOT
from pipelines.lake.place import read_settings_once
from pipelines.lake.tables import RAW_TABLES
from pipelines.lake.working_folder import only_one
from pipelines.network.appview import AppView
from pipelines.network.connect import Network
from pipelines.network.pacing import Pacer
from pipelines.network.repositories import Repositories
from pipelines.sample.streams.events import StreamEvent
from pipelines.sample.streams.jetstream import SampleJetstream
from pipelines.sample.world.days import evening
from pipelines.sources.pull_run import PullRun
from pipelines.terminal import Terminal

if TYPE_CHECKING:
    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World
    from tests.conftest import Lake

PULL_ONLY = ("--no-transform", "--no-report")


@pytest.fixture
def service(lake: Lake, sample_server: SampleServer, monkeypatch: pytest.MonkeyPatch) -> SampleServer:
    """Make the sample network the real one, for the job's settings."""
    for name in ("SERVICE", "PLC_DIRECTORY", "SHORT_LINK_SERVICE"):
        monkeypatch.setenv(f"SOURCES__BLUESKY__{name}", sample_server.url)
    monkeypatch.setenv("SOURCES__BLUESKY__REQUESTS_PER_SECOND", "1000")
    return sample_server


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """Give what went to stderr: one line."""
    [line] = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["--day", "2"], "--day"),
        (["--sample", "--day", "0"], "--day"),
        (["--sample", "--day", "Monday"], "--day"),
        (["--refresh-days", "-1"], "--refresh-days"),
        (["--backfill-days", "-0.5"], "--backfill-days"),
        (["--requests-per-second", "0"], "--requests-per-second"),
        (["--requests-per-second", "fast"], "--requests-per-second"),
        (["--pace", "3"], "--pace"),
    ],
)
def test_wrong_arguments_are_named(arguments: list[str], option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2
    assert option in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.usefixtures("lake")
def test_without_a_network_the_default_fails_in_one_line_that_names_the_service_and_the_sample(
    capsys: pytest.CaptureFixture[str],
) -> None:
    service = f"127.0.0.1:{closed_port()}"
    appview = AppView(f"http://{service}", Pacer(10_000), backoff=0.001)
    assert main([], run=PullRun(network=Network(appview, Repositories(appview)))) == 1
    line = error_line(capsys)
    assert service in line
    assert "--sample" in line


@pytest.mark.parametrize(
    ("seed", "said"),
    [
        (("--pack", "at://did:plc:nobodynobodynobodynobody/app.bsky.graph.starterpack/3kabcdefghijk"), "not found"),
        (("--pack", "https://go.bsky.app/NoSuch"), "NoSuch"),
        (("--pack", "https://example.com/pack"), "starter pack"),
        (("--list", "at://did:plc:nobodynobodynobodynobody/app.bsky.graph.list/3kabcdefghijk"), "List not found"),
        (("--actor", "nobody.bsky.test"), "nobody.bsky.test"),
    ],
)
def test_an_unknown_seed_is_one_line_and_nothing_is_loaded(
    lake: Lake, service: SampleServer, capsys: pytest.CaptureFixture[str], seed: tuple[str, str], said: str
) -> None:
    assert main([*seed]) == 1
    assert said in error_line(capsys)
    assert not lake.dataset.exists() or not list(lake.dataset.rglob("*.parquet"))
    assert all(request.nsid != "app.bsky.feed.getAuthorFeed" for request in service.requests)


@pytest.mark.usefixtures("service")
def test_one_unknown_seed_of_two_is_named_and_the_other_is_loaded(
    lake: Lake, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--actor", world.actor("nils").did, "--actor", "nobody.bsky.test", *PULL_ONLY]
    assert main(arguments) == 2
    lines = [line for line in capsys.readouterr().out.splitlines() if "nobody.bsky.test" in line]
    assert len(lines) == 1
    assert lake.query("select count(*) as members from feed_pulls") == [{"members": 1}]


@pytest.mark.parametrize(
    ("setting", "becomes", "said"),
    [
        ("service = .*", "", "service"),
        ("requests_per_second = .*", "", "requests_per_second"),
        ("starter_packs = .*", "starter_packs = []", "Nobody to follow"),
        ("requests_per_second = .*", 'requests_per_second = "fast"', "requests_per_second"),
        ("service = .*", 'service = "bsky.app"', "bsky.app"),
        ("requests_per_second = .*", "requests_per_second = 0", "requests_per_second"),
        ("refresh_days = .*", "refresh_days = -7", "refresh_days"),
        ("full_sweep_days = .*", "full_sweep_days = 1e9", "full_sweep_days"),
        ("# backfill_days = .*", "backfill_days = nan", "backfill_days"),
        ("starter_packs = .*", 'starter_packs = "at://did:plc:x/app.bsky.graph.starterpack/y"', "starter_packs"),
        ("# contact = .*", 'contact = "jürgen@example.org"', "contact"),
        (r"bucket_url = .*", "", "bucket_url"),
        (r"bucket_url = .*", 'bucket_url = "s4://my-bucket/raw"', "s3://, az://"),
        (r"bucket_url = .*", 'bucket_url = "https://my-bucket.example.org"', "s3://, az://"),
        (r"bucket_url = .*", 'bucket_url = "sftp://my-bucket/raw"', "s3://, az://"),
        (r"bucket_url = .*", 'bucket_url = "s3://my-bucket/raw"', "credentials.aws_secret_access_key. See"),
        ("layout = .*", 'layout = "{tabel_name}"', "tabel_name"),
        ("destination_type = .*", 'destination_type = "filesystm"', "filesystm"),
        ("destination_type = .*", 'destination_type = "duckdb"', "must be a `filesystem`"),
        (r"\[pipelines.bluesky\]", "[pipelines.blusky]", "[pipelines.bluesky]"),
        (r"\[sources.bluesky\]", "[sources.bluesky", "config.toml"),
        ("# contact = .*", 'handle = "mara.bsky.test"', "app_password"),
    ],
)
def test_a_setting_that_is_missing_or_wrong_is_named_in_one_line(
    lake: Lake, capsys: pytest.CaptureFixture[str], setting: str, becomes: str, said: str
) -> None:
    config = lake.folder / ".dlt" / "config.toml"
    text, count = re.subn(f"^{setting}$", becomes, config.read_text(), count=1, flags=re.MULTILINE)
    assert count == 1
    config.write_text(text)
    assert main([]) == 1
    assert said in error_line(capsys)


def test_a_second_run_at_once_is_refused_in_one_line_and_spoils_nothing(
    lake: Lake, world: World, service: SampleServer, capsys: pytest.CaptureFixture[str]
) -> None:
    with only_one("bluesky"):
        assert main(["--actor", world.actor("nils").did, *PULL_ONLY]) == 1
        assert "Another run of bluesky is under way" in error_line(capsys)
        assert service.requests == []
    assert main(["--actor", world.actor("nils").did, *PULL_ONLY]) == 0
    assert lake.query("select count(*) as members from feed_pulls") == [{"members": 1}]


def test_a_working_folder_that_dlt_takes_for_a_pattern_is_refused_before_anything_is_asked(
    lake: Lake, world: World, service: SampleServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = lake.folder / "100%"
    monkeypatch.setenv("DLT_DATA_DIR", str(folder))
    assert main(["--actor", world.actor("nils").did, *PULL_ONLY]) == 1
    assert "DLT_DATA_DIR" in error_line(capsys)
    assert service.requests == []
    assert not folder.exists()


def test_a_dry_run_says_what_would_be_asked_and_loads_nothing(
    lake: Lake, service: SampleServer, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    day, pack = world.on(1), world.packs[1]
    members = [day.actors[item.subject] for item in day.memberships(pack.list)]
    pages = sum(max(1, math.ceil(day.posts_count(member) / 100)) for member in members)
    arguments = ["--pack", pack.uri, "--dry-run", "--requests-per-second", "10"]
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert f"{len(members)}, {len(members)} of them for the first time" in output
    assert f"{len(service.requests)} requests" in output
    assert f"about {pages} feed pages" in output
    asked = len(service.requests)
    tonight, usual = (f"0:00:{math.ceil((asked + count) / 10):02}" for count in (pages, len(members)))
    assert f"about {tonight} at 10 requests a second, and a usual night about {usual}\n" in output
    assert tonight > usual
    assert {request.nsid.rpartition(".")[2] for request in service.requests} == {
        "getStarterPack",
        "getList",
        "getProfiles",
    }
    assert not lake.dataset.exists() or not list(lake.dataset.rglob("*.parquet"))

    assert main(["--pack", pack.uri, *PULL_ONLY]) == 0
    capsys.readouterr()
    assert main(arguments) == 0
    output = capsys.readouterr().out
    assert f"{len(members)}, 0 of them for the first time" in output
    assert f"about {len(members)} feed pages" in output
    assert f"about {usual} at 10 requests a second, and a usual night about {usual}\n" in output


def test_links_of_any_form_lead_to_the_same_pack(
    lake: Lake, service: SampleServer, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = world.packs[1]
    handle = world.actors[pack.creator].handles[0][1]
    for link in (
        pack.uri,
        f"https://bsky.app/starter-pack/{handle}/{pack.rkey}",
        f"https://go.bsky.app/{pack.short_code}",
    ):
        assert main(["--pack", link, "--dry-run"]) == 0
    assert len(set(re.findall(r"members .*", capsys.readouterr().out))) == 1


@pytest.mark.usefixtures("lake")
def test_the_sample_has_no_use_for_the_log_in_of_the_real_network(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCES__BLUESKY__HANDLE", "somebody.example.org")
    monkeypatch.setenv("SOURCES__BLUESKY__APP_PASSWORD", "abcd-efgh-ijkl-mnop")
    monkeypatch.setenv("SOURCES__BLUESKY__LOGIN_SERVICE", f"http://127.0.0.1:{closed_port()}")
    assert main(["--sample", "--day", "1", "--actor", world.actor("nils").did, *PULL_ONLY]) == 0


@pytest.mark.slow
def test_the_sample_is_pulled_day_by_day_and_apart_from_the_real_lake(
    lake: Lake, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--sample", "--day", "1", *PULL_ONLY]) == 0
    assert main(["--sample", *PULL_ONLY]) == 0
    output = capsys.readouterr().out
    assert "day 1" in output
    assert "day 2" in output
    assert "_data/sample/lake" in output
    lake.pipeline_name = "bluesky_sample"
    packs = lake.query("from starter_packs")
    assert {pack["observed_at"].date() for pack in packs} == {world.on(day).now.date() for day in (1, 2)}
    assert {pack["uri"] for pack in packs} == {pack.uri for pack in world.packs}
    assert not (lake.folder / "_data" / "lake").exists()


@pytest.mark.usefixtures("service")
def test_a_machine_whose_clock_is_wrong_goes_by_the_services(
    lake: Lake, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a_year = timedelta(days=365)
    monkeypatch.setattr(
        "aiohttp.web_response.rfc822_formatted_time", lambda: format_datetime(datetime.now(UTC) + a_year, usegmt=True)
    )
    begun_at = datetime.now(UTC) + a_year
    assert main(["--actor", world.actor("nils").did, "--pack", world.packs[1].uri, *PULL_ONLY]) == 0
    assert capsys.readouterr().out.count("this machine's clock is 365 days behind the service's") == 1
    for table in RAW_TABLES:
        times = {row["observed_at"] for row in lake.query(f"select observed_at from {table.name}")}
        assert times
        assert begun_at - timedelta(seconds=2) <= min(times)
        assert max(times) <= datetime.now(UTC) + a_year + timedelta(seconds=2)


@pytest.mark.usefixtures("service")
def test_a_night_begins_with_what_members_did_since_the_last(
    lake: Lake, world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless there is nobody to listen to, or no way to listen: then the pull goes on."""
    config = lake.folder / ".dlt" / "config.toml"
    config.write_text(config.read_text().replace("\ncatch_up = false", "\ncatch_up = true"))
    jetstream = "SOURCES__REPO_EVENTS__JETSTREAM_SERVICE"
    monkeypatch.setenv(jetstream, f"ws://127.0.0.1:{closed_port()}")
    monkeypatch.setattr("pipelines.events.stream.FIRST_ATTEMPTS", 1)
    nils = world.actor("nils").did
    night = ["--actor", nils, *PULL_ONLY]
    assert main(night) == 0
    assert capsys.readouterr().err == "", "nobody is followed before the first night"

    def told_of_a_catch_up() -> str:
        assert "no catch-up" in bluesky.catch_up(bluesky.parse_arguments(night), Terminal())
        return error_line(capsys)

    assert re.match(r"No catch-up: 127\.0\.0\.1:\d+: jetstream: .*Connect call failed", told_of_a_catch_up())
    monkeypatch.setenv(jetstream, "wss://no-such-host.invalid")
    assert "no-such-host.invalid" in told_of_a_catch_up()
    with only_one("bluesky_jetstream"):
        assert "Another run of bluesky_jetstream" in told_of_a_catch_up()

    now = datetime.now(UTC)
    records = [event for event in world.events(evening(-30), evening(10)) if event.did == nils][-20:]
    events = [StreamEvent(number, replace(record, at=now)) for number, record in enumerate(records, start=1)]
    with SampleJetstream(events) as stream:
        monkeypatch.setenv(jetstream, stream.url)
        assert main(night) == 0
    told = capsys.readouterr()
    assert told.err == ""
    assert re.search(r"events  [1-9]\d* since the last run", told.out)
    assert lake.query("select count(distinct observed_at) as nights from feed_pulls") == [{"nights": 2}]


@pytest.mark.usefixtures("lake")
def test_the_command_line_decides_whether_a_night_begins_with_a_catch_up(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_wanted(*arguments: str) -> bool:
        return bluesky.is_catch_up_wanted(bluesky.parse_arguments(list(arguments)))

    for setting in ("true", "false"):
        monkeypatch.setenv("SOURCES__BLUESKY__CATCH_UP", setting)
        read_settings_once()
        assert is_wanted() is (setting == "true")
        assert not is_wanted("--sample"), "its stream is of a day that is not pulled yet"
        assert is_wanted("--catch-up")
        assert is_wanted("--sample", "--catch-up")
        assert not is_wanted("--no-catch-up")


def test_as_shipped_a_night_begins_with_a_catch_up() -> None:
    assert "\ncatch_up = true" in (PROJECT_ROOT / ".dlt" / "config.toml").read_text()
