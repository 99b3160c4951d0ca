"""Streams that take nothing: a job does its work all the same, in no file but its own, and stderr says so once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.command import run_command
from tests.job import run_process

if TYPE_CHECKING:
    from pipelines.terminal import Terminal

OUT, ERRORS = 1, 2
FULL = "stdout takes no more, so that not all is there that was said: No space left on device.\n"


def speak(folder: Path, streams: dict[int, str]) -> None:
    """Be a command whose streams are full, closed or unread; the others are files."""
    for number in (OUT, ERRORS):
        os.dup2(os.open(folder / str(number), os.O_CREAT | os.O_WRONLY), number)
    for number, state in streams.items():
        match state:
            case "full":
                os.dup2(os.open("/dev/full", os.O_WRONLY), number)
            case "unread":
                reader, writer = os.pipe()
                os.dup2(writer, number)
                os.close(writer)
                os.close(reader)
            case "closed":
                os.close(number)
    # As Python finds them when it starts.
    sys.stdout, sys.stderr = (
        None if streams.get(number) == "closed" else os.fdopen(number, "w") for number in (OUT, ERRORS)
    )

    def work(console: Terminal) -> int:
        for _ in range(2):
            console.say("said")
            print("printed")
            print("trouble", file=sys.stderr)
        with (folder / "lake").open("w") as lake:
            assert lake.fileno() > 2, "what a library prints there would be in the lake"
            lake.write("a row")
        return 0

    sys.exit(run_command(work))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device that is always full")
@pytest.mark.parametrize(
    ("streams", "out", "errors"),
    [
        ({}, "said\nprinted\n" * 2, "trouble\n" * 2),
        ({OUT: "full"}, "", "trouble\n" * 2 + FULL),
        ({OUT: "unread"}, "", "trouble\n" * 2),
        ({OUT: "full", ERRORS: "full"}, "", ""),
        ({OUT: "closed"}, "", "trouble\n" * 2),
        ({OUT: "closed", ERRORS: "closed"}, "", ""),
    ],
    ids=str,
)
def test_a_job_whose_words_go_nowhere_does_its_work(
    tmp_path: Path, streams: dict[int, str], out: str, errors: str
) -> None:
    assert run_process(speak, tmp_path, streams) == 0
    assert (tmp_path / "lake").read_text() == "a row"
    assert [(tmp_path / str(number)).read_text() for number in (OUT, ERRORS)] == [out, errors]
