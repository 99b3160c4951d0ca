"""A month that has ended becomes one file a table: every row is there, and knows where dlt wrote it."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow.parquet as pq
import pytest

from pipelines.compacting import compact_where_due
from pipelines.lake import compaction
from pipelines.lake.compacted import Compaction
from pipelines.lake.compaction import READERS_NEED, compact, is_due
from pipelines.lake.lease import lease
from pipelines.lake.members import read_members
from pipelines.lake.tables import AUTHOR_FEED, RAW_TABLES, SOURCE_FILE, SOURCE_ROW, RawTable
from pipelines.terminal import Terminal
from tests.dbt.raw_lakes import Load, did, night
from tests.dbt.test_random_lakes import NIGHTS, Chance

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import Lake

Row = dict[str, Any]
IN_MARCH = night(31).timestamp()


@pytest.fixture
def lake_of_nights(lake: Lake) -> Lake:
    chance = Chance(0)
    for number in NIGHTS[:-1]:
        chance.load(number).write(lake.dataset)
    return lake


def rows_by_place(lake: Lake) -> dict[tuple[str, int], Row]:
    """All rows of the lake, by the file and the row as which dlt wrote them."""
    found: dict[tuple[str, int], Row] = {}
    for path in sorted(lake.dataset.rglob("*.parquet")):
        for number, row in enumerate(pq.read_table(path).to_pylist()):
            place = row.pop(SOURCE_FILE, str(path.relative_to(lake.dataset))), row.pop(SOURCE_ROW, number)
            assert found.setdefault(place, row) == row
    return found


def complete_loads(lake: Lake) -> set[str]:
    lines = [line for path in (lake.dataset / "_dlt_loads").iterdir() for line in path.read_text().splitlines()]
    return {json.loads(line)["load_id"] for line in lines}


def files_of(lake: Lake, table: RawTable) -> list[Path]:
    return sorted((lake.dataset / table.name).rglob("*.parquet"))


def test_a_month_that_has_ended_is_one_file_a_table(lake_of_nights: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    lake, pipeline, now = lake_of_nights, dlt.pipeline("bluesky_compact"), time.time()
    monkeypatch.setattr(compaction, "ROWS_AT_ONCE", 7)
    rows, loads, members = rows_by_place(lake), complete_loads(lake), read_members(pipeline)
    assert not is_due(pipeline, now=IN_MARCH), "the month has not ended"
    written = files_of(lake, AUTHOR_FEED)
    compact(pipeline, now=IN_MARCH)
    assert files_of(lake, AUTHOR_FEED) == written
    assert is_due(pipeline)
    for hours in range(4):
        compact(pipeline, now=now + hours * READERS_NEED)
        assert rows_by_place(lake) == rows
        assert complete_loads(lake) == loads
        assert read_members(pipeline) == members
        if hours == 1:  # A load that was late.
            Chance(1).load(NIGHTS[-1]).write(lake.dataset)
            rows, loads, members = rows_by_place(lake), complete_loads(lake), read_members(pipeline)
            assert is_due(pipeline)
    assert not is_due(pipeline)
    for table in RAW_TABLES:
        [file] = files_of(lake, table)
        assert file.parent.name == "2026-03"
        holds = json.loads((pq.read_metadata(file).metadata or {})[b"holds"])
        assert {name for name, _ in rows if name.startswith(f"{table.name}/")} <= {*holds}
    assert len(list((lake.dataset / "_dlt_loads").iterdir())) == 1
    assert compact(pipeline, now=now + 9 * READERS_NEED) == Compaction()


def test_an_older_file_lacks_a_column_and_a_damaged_one_costs_no_other(lake_of_nights: Lake) -> None:
    lake, pipeline, now = lake_of_nights, dlt.pipeline("bluesky_compact"), time.time()
    first, second, third, *_ = files_of(lake, AUTHOR_FEED)
    older = pq.read_table(first).drop_columns(["issues"])
    ids = older["_dlt_load_id"].dictionary_encode()  # As dlt writes it.
    pq.write_table(older.drop_columns(["_dlt_load_id"]).append_column("_dlt_load_id", ids), first)
    damaged = {str(path.relative_to(lake.dataset)) for path in (second, third)}
    rows = {place: row for place, row in rows_by_place(lake).items() if place[0] not in damaged}
    content = third.read_bytes()
    third.write_bytes(content[:40] + bytes(len(content) // 2) + content[40 + len(content) // 2 :])
    second.write_bytes(b"")
    for hours in range(2):
        assert compact(pipeline, now=now + hours * READERS_NEED).damaged.keys() == {str(second), str(third)}
    assert len(files_of(lake, AUTHOR_FEED)) == 3
    for path in (second, third):
        path.unlink()
    found = rows_by_place(lake)
    assert found.keys() == rows.keys()
    assert all({"issues": None} | row == {"issues": None} | rows[place] for place, row in found.items())


def test_the_newest_days_are_followed_though_they_are_in_one_file(lake: Lake) -> None:
    """A pack that was pulled for the last time before the eight newest days is followed no more."""
    pipeline = dlt.pipeline("bluesky_compact")
    for number in range(1, 13):
        load = Load(f"17724060{number:02}.5")
        load.pack(night(number), ["old"] if number < 5 else ["new"], f"at://did:plc:curator/pack/{number < 5}")
        load.write(lake.dataset)
        (lake.dataset / "starter_pack_members" / "2026-03-01").rename(
            lake.dataset / "starter_pack_members" / f"2026-03-{number:02}"
        )
    assert read_members(pipeline).dids == {did("new")}
    for hours in range(2):
        compact(pipeline, now=time.time() + hours * READERS_NEED)
        assert read_members(pipeline).dids == {did("new")}


def test_whatever_keeps_a_night_from_compaction_is_a_line(
    lake_of_nights: Lake, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline, written = dlt.pipeline("bluesky_compact"), files_of(lake_of_nights, AUTHOR_FEED)

    def compacted() -> tuple[int, str]:
        exit_code = compact_where_due(pipeline, Terminal(sys.stdout))
        return exit_code, "".join(capsys.readouterr())

    with lease(pipeline):
        exit_code, said = compacted()
    assert (exit_code, said.count("\n")) == (0, 1)
    assert files_of(lake_of_nights, AUTHOR_FEED) == written
    assert compacted()[0] == 0
    assert len(files_of(lake_of_nights, AUTHOR_FEED)) == len(written) + 1
    monkeypatch.setattr("pipelines.compacting.is_due", lambda _: (_ for _ in ()).throw(PermissionError("no")))
    exit_code, said = compacted()
    assert (exit_code, said.count("\n")) == (2, 1)
