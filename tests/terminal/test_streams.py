"""Streams that take nothing: a job does its work all the same, in no file but its own, and stderr says so once."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
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


def speak_much(fifo: Path) -> None:
    """Be a command whose stdout does not wait for its reader."""
    descriptor = os.open(fifo, os.O_WRONLY)
    os.set_blocking(descriptor, False)
    os.dup2(descriptor, OUT)
    sys.stdout = os.fdopen(OUT, "w")

    def work(console: Terminal) -> int:
        for number in range(500):
            console.say(f"{number} {'said' * 100}")
            print(number, "printed" * 100)
        return 0

    sys.exit(run_command(work))


def test_a_slow_reader_gets_all_that_is_said(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")

    def read_slowly() -> list[str]:
        with (tmp_path / "fifo").open() as fifo:
            time.sleep(0.3)
            return fifo.read().splitlines()

    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(read_slowly)
        assert run_process(speak_much, tmp_path / "fifo") == 0
    said = [line for number in range(500) for line in (f"{number} {'said' * 100}", f"{number} {'printed' * 100}")]
    assert read.result() == said
