"""An export that is told to end does so in one line, and leaves the file of before."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

import duckdb

from pipelines.command import run_command
from pipelines.exports.columns import columns_of
from pipelines.exports.marts import Mart
from pipelines.exports.pseudonyms import Pseudonyms
from pipelines.exports.tables import write_table
from pipelines.interruption import INTERRUPTED
from tests.job import run_process

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.terminal import Terminal

ROWS = 200_000


class Signalling(Pseudonyms):
    """Gets a signal when it gives the first name.

    Attributes:
        given: How many it has given.
    """

    given = 0

    def _words(self, text: str) -> str:
        if not self.given:
            os.kill(os.getpid(), signal.SIGINT)
        self.given += 1
        return text


def export_under_other_names(folder: Path) -> None:
    pseudonyms = Signalling(b"salt", [])

    def work(_: Terminal) -> int:
        with duckdb.connect() as marts:
            marts.execute(f"create table rpt_words as select 'text ' || n as text from range({ROWS}) as _(n)")
            mart = Mart("rpt_words", "", tuple(columns_of(marts)["rpt_words"]), "from rpt_words")
            write_table(marts, mart, "csv", folder, pseudonyms)
        return 0

    signal.signal(signal.SIGINT, signal.default_int_handler)
    with (folder / "output.txt").open("w") as output:
        os.dup2(output.fileno(), 2)
        sys.stderr = os.fdopen(2, "w")
        code = run_command(work)
    sys.exit(code if pseudonyms.given < ROWS else "the signal was heard at the end")


def test_an_export_under_other_names_that_is_told_to_end(tmp_path: Path) -> None:
    (tmp_path / "rpt_words.csv").write_text("the export of yesterday")
    assert run_process(export_under_other_names, tmp_path) == 130
    assert (tmp_path / "output.txt").read_text() == f"{INTERRUPTED}\n"
    assert (tmp_path / "rpt_words.csv").read_text() == "the export of yesterday"
