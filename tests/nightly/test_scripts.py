"""What the nightly says and to whom, and what it makes of the repository's secrets."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from contextlib import chdir
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from runpy import run_path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import given, strategies

from pipelines.lake.bucket import PROJECT_ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPTS = PROJECT_ROOT / ".github" / "nightly"
VERSIONS = PROJECT_ROOT / ".github" / "versions"
WORKFLOWS = PROJECT_ROOT / ".github" / "workflows"
OTHERS_WORDS = run_path(str(SCRIPTS / "others_words.py"))

MOCK_GH = """#!/usr/bin/env bash
# Knows one issue, kept in a file beside this script.
here=$(dirname "$0")
echo "$*" >> "$here/said"
case "$1 $2" in
  "repo view") echo true ;;
  "issue list") cat "$here/open" 2> /dev/null ;;
  "issue create") echo 7 > "$here/open" ;;
  "issue close") rm "$here/open" ;;
esac
true
"""


@pytest.fixture
def chat() -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A chat's webhook: its address, and what it was told."""
    told: list[dict[str, str]] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Webhook) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/hooks/a-secret", told
        server.shutdown()


@pytest.mark.skipif(not shutil.which("jq"), reason="jq is not installed")
def test_one_issue_for_as_long_as_nights_go_wrong_with_a_mock_gh(
    tmp_path: Path, chat: tuple[str, list[dict[str, str]]]
) -> None:
    address, told = chat
    for name, program in (("gh", MOCK_GH), ("date", '#!/usr/bin/env bash\ncat "${0%/*}/weekday"\n')):
        (tmp_path / name).write_text(program)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "weekday").write_text("1")

    def tell(
        night: str, publish: str = "success", unread: str = "", digest: str = "", event: str = "schedule"
    ) -> tuple[int, list[str]]:
        (tmp_path / "said").unlink(missing_ok=True)
        code = subprocess.run(
            ["bash", SCRIPTS / "tell.sh"],
            env=os.environ
            | {
                "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
                "GITHUB_REPOSITORY": "somebody/a-fork",
                "GITHUB_RUN_ID": "42",
                "CHAT_WEBHOOK_URL": address,
                "NIGHT": night,
                "PUBLISH": publish,
                "UNREAD": unread,
                "DIGEST": digest,
                "PAGE_URL": "https://somebody.github.io/a-fork/",
                "GITHUB_EVENT_NAME": event,
            },
            check=False,
            capture_output=True,
        ).returncode
        said = (tmp_path / "said").read_text().splitlines()
        return code, [" ".join(line.split()[:2]) for line in said if line.startswith(("issue c", "issue e"))]

    assert tell("success") == (0, [])
    assert tell("failure", "skipped") == (1, ["issue create"])
    assert tell("success", unread="yes") == (1, ["issue comment"])
    assert tell("success", "failure") == (1, ["issue comment"])
    assert tell("success") == (0, ["issue close"])
    assert tell("success") == (0, [])
    assert len(told) == 3
    assert "https://github.com/somebody/a-fork/actions/runs/42" in told[0]["text"]
    assert "could not be read" in told[1]["content"]

    digest = json.dumps('The week to "30" November:\n5 posts\n')
    told.clear()
    assert tell("failure", "skipped", digest=digest) == (1, ["issue create"])
    assert tell("success", digest=digest, event="workflow_dispatch") == (0, ["issue close"])
    assert tell("success", digest='""') == (0, [])
    assert len(told) == 1, "the failure"
    assert tell("success", digest=digest) == (0, [])
    assert tell("success", unread="yes", digest=digest) == (1, ["issue create"])
    week = 'somebody/a-fork: The week to "30" November:\n5 posts\nhttps://somebody.github.io/a-fork/'
    assert [message["text"] for message in told].count(week) == 2
    (tmp_path / "weekday").write_text("2")
    told.clear()
    assert tell("success", digest=digest) == (0, ["issue close"])
    assert told == []


@pytest.mark.parametrize(("script", "said"), [("pull.sh", "could not be read"), ("check.sh", "could not be asked")])
@pytest.mark.parametrize("code", [0, 1, 2, 130])
def test_what_is_left_open_is_a_notice_and_what_fails_ends_the_night(
    tmp_path: Path, script: str, said: str, code: int
) -> None:
    """With a job that does nothing but end in this way."""
    python = tmp_path / "python"
    python.write_text(f'#!/usr/bin/env bash\necho "$*"\nexit {code}\n')
    python.chmod(0o755)
    (tmp_path / "output").touch()
    (tmp_path / "_data").mkdir()
    (tmp_path / "_data" / "pull.log").write_text("before\n")
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", SCRIPTS / script],
        cwd=tmp_path,
        env=os.environ | {"PATH": path, "GITHUB_OUTPUT": str(tmp_path / "output")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == (0 if code == 2 else code)
    assert (tmp_path / "output").read_text() == ("unread=yes\n" if code == 2 else "")
    assert ("::warning::" in done.stdout and said in done.stdout) == (code == 2)
    log = (tmp_path / "_data" / "pull.log").read_text().splitlines()
    assert log[-1].startswith("pipelines/bluesky.py --")
    assert ("before" in log) == (script == "check.sh"), "the summary shows the pull and the check"


HOSTILE = [
    "##[add-mask]a",
    "::add-mask::b",
    "  ::set-output name=lake::cache",
    "100%0A::error::c",
    "```\n# A heading\n````",
    "<img src=x onerror=alert(1)> [a](https://example.com) | b | **c** _d_ @everybody",
    "\x1b[2J\u202e",
]
"""What a log's reader, or Markdown, would take for more than text."""


def runner_commands(log: str) -> list[str]:
    """Give the lines that a runner takes for commands, by its own rules.

    See `ActionCommand.TryParse` and `TryParseV2` in https://github.com/actions/runner.
    """
    commands, token = [], ""
    for line in log.split("\n"):
        if token:
            token = "" if line.strip() == f"::{token}::" else token
        elif line.strip().startswith("::stop-commands::"):
            token = line.strip().removeprefix("::stop-commands::")
        elif line.strip().startswith("::") or "##[" in line:
            commands.append(line)
    return commands


@pytest.mark.parametrize("script", ["pull.sh", "check.sh"])
def test_a_runner_takes_no_word_of_a_job_for_a_command(tmp_path: Path, script: str) -> None:
    """With a job that says hostile words and ends in no line's end."""
    python = tmp_path / "python"
    python.write_text("#!/usr/bin/env bash\nprintf '%s' \"$HOSTILE\"\nexit 2\n")
    python.chmod(0o755)
    (tmp_path / "_data").mkdir()
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", SCRIPTS / script],
        cwd=tmp_path,
        env=os.environ | {"PATH": path, "HOSTILE": "\n".join(HOSTILE), "GITHUB_OUTPUT": str(tmp_path / "output")},
        check=True,
        capture_output=True,
        text=True,
    )
    (warning,) = runner_commands(done.stdout)
    assert "could not be" in warning
    assert (tmp_path / "_data" / "pull.log").read_text() == "\n".join(HOSTILE), "the token is not in it"


def summary(folder: Path, log: bytes, secrets: str) -> str:
    """Give the summary of a night that has left this log, and no warehouse."""
    (folder / "_data").mkdir(exist_ok=True)
    (folder / "_data" / "pull.log").write_bytes(log)
    (folder / ".dlt").mkdir(exist_ok=True)
    (folder / ".dlt" / "secrets.toml").write_text(secrets)
    (folder / "summary").unlink(missing_ok=True)
    subprocess.run(
        [sys.executable, SCRIPTS / "summary.py"],
        cwd=folder,
        env=os.environ | {"GITHUB_STEP_SUMMARY": str(folder / "summary"), "PYTHONPATH": str(PROJECT_ROOT)},
        check=True,
        capture_output=True,
    )
    return (folder / "summary").read_text()


def test_a_summary_shows_any_log_as_text_and_names_no_secret(tmp_path: Path) -> None:
    log = "\n".join(
        [
            *HOSTILE,
            "There is no bucket 'my-bucket'. Create it.",
            "DuckDB does not find s3://my-bucket/raw/bluesky at https://1234.r2.cloudflarestorage.com",
            "somebody.bsky.social: failed",
            "     lake  s3://my-bucket/raw/bluesky",
        ]
    )
    written = summary(
        tmp_path,
        log.encode() + b"\n\xff\xfe no UTF-8",
        """
        [destination.filesystem]
        bucket_url = "s3://my-bucket/raw"
        credentials = { endpoint_url = "https://1234.r2.cloudflarestorage.com", region_name = "auto" }
        """,
    )
    heading, fence, *lines, last = written.splitlines()
    assert (heading, fence, last) == ("## The night", "`````", "`````"), "no line of the log is outside of the block"
    assert written.isascii() or written.replace("\n", "").isprintable()
    assert not any("my-bucket" in line or "1234" in line or line.strip().startswith("lake ") for line in lines)
    assert "somebody.bsky.social: failed" in lines
    assert any("no UTF-8" in line for line in lines)


@given(strategies.text(strategies.characters(codec="utf-8")))
def test_words_in_a_table_are_words(text: str) -> None:
    written = OTHERS_WORDS["in_markdown"](text)
    assert re.fullmatch(r"(&#\d+;|[^!-/:-@\[-`{-~])*", written)
    assert written.isprintable()


@pytest.mark.parametrize("text", HOSTILE)
def test_an_annotation_is_one_command(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    OTHERS_WORDS["annotate"]("warning", text, title="Ours")
    log = capsys.readouterr().out
    assert runner_commands(log.rstrip("\n")) == [log.rstrip("\n")]
    assert log.startswith("::warning title=Ours::")
    assert "%0A" not in log


def test_one_issue_for_as_long_as_the_newest_versions_break_something_with_a_mock_gh(tmp_path: Path) -> None:
    gh = tmp_path / "gh"
    gh.write_text(MOCK_GH)
    gh.chmod(0o755)

    def tell(result: str) -> tuple[int, list[str]]:
        (tmp_path / "said").unlink(missing_ok=True)
        environment = {"GITHUB_REPOSITORY": "somebody/bluesky-lake", "GITHUB_RUN_ID": "42", "RESULT": result}
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        code = subprocess.run(
            ["bash", VERSIONS / "tell.sh"], env=os.environ | environment | {"PATH": path}, check=False
        ).returncode
        said = (tmp_path / "said").read_text().splitlines()
        return code, [line for line in said if line.startswith(("issue c", "issue e"))]

    assert tell("success") == (0, [])
    code, (created, *_) = tell("failure")
    assert code == 1
    assert created.startswith("issue create --repo somebody/bluesky-lake --label versions --title")
    code, (commented,) = tell("failure")
    assert commented.startswith("issue comment 7 ")
    assert "https://github.com/somebody/bluesky-lake/actions/runs/42" in commented
    code, (closed,) = tell("success")
    assert (code, closed.split()[:3]) == (0, ["issue", "close", "7"])


def test_the_newest_of_each_dependency_is_asked_for_without_its_upper_bound() -> None:
    printed = subprocess.run(
        [sys.executable, VERSIONS / "newest.py"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text())
    asked_for = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    assert len(printed) == len(asked_for)
    assert all(bound.startswith(line) for line, bound in zip(printed, asked_for, strict=True))
    assert not any("<" in line for line in printed)
    assert "duckdb>=1.5.5" in printed


def settings(folder: Path, **secrets: str) -> tuple[int, str]:
    """Run settings.py where these secrets are set and others are not, as an empty variable each."""
    (folder / ".dlt").mkdir(exist_ok=True)
    unset = {"DESTINATION__FILESYSTEM__CREDENTIALS__REGION_NAME": "", "SOURCES__BLUESKY__HANDLE": ""}
    done = subprocess.run(
        [sys.executable, SCRIPTS / "settings.py"],
        cwd=folder,
        env={"PATH": os.environ["PATH"]} | unset | secrets,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_secrets_that_are_set_become_the_settings_of_the_example(tmp_path: Path) -> None:
    lake = "DESTINATION__FILESYSTEM__"
    code, said = settings(
        tmp_path,
        **{
            f"{lake}BUCKET_URL": "s3://my-bucket/raw",
            f"{lake}CREDENTIALS__AWS_ACCESS_KEY_ID": "key",
            f"{lake}CREDENTIALS__AWS_SECRET_ACCESS_KEY": "hush",
            f"{lake}CREDENTIALS__ENDPOINT_URL": "https://1234.r2.cloudflarestorage.com",
        },
    )
    assert code == 0
    assert "hush" not in said
    written = tmp_path / ".dlt" / "secrets.toml"
    assert written.stat().st_mode & 0o077 == 0, "nobody else may read it"
    example = example_of("Cloudflare R2")
    example["destination"]["filesystem"]["credentials"] |= {
        "aws_access_key_id": "key",
        "aws_secret_access_key": "hush",
        "endpoint_url": "https://1234.r2.cloudflarestorage.com",
    }
    assert tomllib.loads(written.read_text()) == example


def example_of(service: str) -> dict[str, Any]:
    """Give the settings that the example has for a service, as they are when their part is uncommented."""
    parts = (PROJECT_ROOT / ".dlt" / "example.secrets.toml").read_text().split("\n\n")
    (part,) = (part for part in parts if part.startswith(f"# {service}"))
    return tomllib.loads("\n".join(line.removeprefix("# ") for line in part.splitlines()[1:]))


@given(strategies.text(strategies.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_secret_becomes_the_setting_that_it_is(secret: str) -> None:
    names = ("DESTINATION__FILESYSTEM__BUCKET_URL", "SOURCES__BLUESKY__APP_PASSWORD")
    with TemporaryDirectory() as folder, chdir(folder), patch.dict(os.environ, dict.fromkeys(names, secret)):
        (Path(folder) / ".dlt").mkdir()
        assert run_path(str(SCRIPTS / "settings.py"))["main"]() == 0
        written = tomllib.loads(Path(".dlt/secrets.toml").read_text(encoding="utf-8"))
    bare = secret.strip()
    expected = {"destination": {"filesystem": {"bucket_url": bare}}, "sources": {"bluesky": {"app_password": bare}}}
    assert written == (expected if bare else {})


def test_no_secrets_at_all_is_a_lake_in_the_cache(tmp_path: Path) -> None:
    assert settings(tmp_path) == (0, "No bucket is set: the lake is in the Actions cache.\n")
    assert tomllib.loads((tmp_path / ".dlt" / "secrets.toml").read_text()) == {}


def test_keys_without_a_bucket_are_told_in_one_line(tmp_path: Path) -> None:
    code, said = settings(tmp_path, DESTINATION__FILESYSTEM__CREDENTIALS__AWS_ACCESS_KEY_ID="key")
    assert code == 1
    assert said.count("\n") == 1
    assert "DESTINATION__FILESYSTEM__BUCKET_URL" in said


@pytest.mark.skipif(not shutil.which("actionlint"), reason="actionlint is not installed")
def test_workflows_are_clean_to_actionlint() -> None:
    linted = subprocess.run(
        ["actionlint", *sorted(WORKFLOWS.glob("*.yml"))], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False
    )
    assert (linted.returncode, linted.stdout) == (0, "")


def test_workflows_are_clean_to_zizmor() -> None:
    zizmor = Path(sys.executable).parent / "zizmor"
    linted = subprocess.run([zizmor, "--offline", WORKFLOWS], capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout
