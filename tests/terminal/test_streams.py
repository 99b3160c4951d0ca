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


def speak(folder: Path, closed: tuple[int, ...], full: tuple[int, ...], is_unread: bool) -> None:
    """Be a command whose streams take nothing; the files are what its streams get, and what it does."""
    for number in (OUT, ERRORS):
        os.dup2(os.open(folder / str(number), os.O_CREAT | os.O_WRONLY), number)
    for number in full:
        os.dup2(os.open("/dev/full", os.O_WRONLY), number)
    if is_unread:
        reader, writer = os.pipe()
        os.dup2(writer, OUT)
        os.close(writer)
        os.close(reader)
    for number in closed:
        os.close(number)
    if OUT in closed:
        sys.stdout = None  # type: ignore[assignment]
    if ERRORS in closed:
        sys.stderr = None  # type: ignore[assignment]

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
    ("closed", "full", "is_unread", "out", "errors"),
    [
        ((), (), False, "said\nprinted\n" * 2, "trouble\n" * 2),
        ((), (OUT,), False, "", "trouble\n" * 2 + FULL),
        ((), (), True, "", "trouble\n" * 2),
        ((), (OUT, ERRORS), False, "", ""),
        ((OUT,), (), False, "", "trouble\n" * 2),
        ((OUT, ERRORS), (), False, "", ""),
    ],
    ids=["all is well", "stdout is full", "nobody reads", "both are full", "stdout is closed", "both are closed"],
)
def test_a_job_whose_words_go_nowhere_does_its_work(
    tmp_path: Path, closed: tuple[int, ...], full: tuple[int, ...], is_unread: bool, out: str, errors: str
) -> None:
    assert run_process(speak, tmp_path, closed, full, is_unread) == 0
    assert (tmp_path / "lake").read_text() == "a row"
    assert [(tmp_path / str(number)).read_text() for number in (OUT, ERRORS)] == [out, errors]
