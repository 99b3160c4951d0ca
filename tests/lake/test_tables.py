"""The contract of the raw layer, held against the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow.parquet as pq
import pytest

from pipelines.lake.tables import AUTHOR_FEED, FEED_PULLS, PROFILES, RAW_TABLES, STARTER_PACK_MEMBERS, STARTER_PACKS
from pipelines.sample.world.truth import SUSPENDED

if TYPE_CHECKING:
    from pipelines.lake.tables import RawTable
    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import World
    from tests.conftest import Lake

PULLED = (STARTER_PACKS, STARTER_PACK_MEMBERS, PROFILES, AUTHOR_FEED, FEED_PULLS)


@pytest.mark.parametrize("table", RAW_TABLES, ids=lambda table: table.name)
def test_a_table_and_its_columns_are_described_and_its_key_is_among_them(table: RawTable) -> None:
    assert table.description
    assert all(table.column_description(column) for column in table.schema.names)
    assert set(table.key) <= set(table.schema.names)


def test_the_files_have_the_columns_of_the_contract_and_keys_are_unique(
    lake: Lake, sample_server: SampleServer, world: World
) -> None:
    lake.pull(sample_server, starter_packs=[world.packs[1].uri])
    lake.pull(sample_server, starter_packs=[world.packs[1].uri])
    for table in PULLED:
        folder = lake.dataset / table.name
        files = sorted(folder.rglob("*.parquet"))
        assert len(files) == 2
        for file in files:
            schema = pq.read_schema(file)
            assert schema.names == [*table.schema.names, "_dlt_load_id"]
            assert [schema.field(name).type for name in table.schema.names] == [column.type for column in table.schema]
            compressions = {pq.read_metadata(file).row_group(0).column(index).compression for index in range(3)}
            assert compressions == {"ZSTD"}
        key = ", ".join(table.key)
        [count] = lake.query(f"select count(*) as all_rows, count(distinct ({key})) as keys from {table.name}")
        assert count["all_rows"] == count["keys"]


def test_no_night_writes_a_file_without_rows(lake: Lake, sample_server: SampleServer, world: World) -> None:
    """Such a file tells nobody that it was read, so that dbt would read it again each night."""
    now = world.on(1).now
    suspended = next(did for did, actor in world.actors.items() if actor.status(now) == SUSPENDED)
    for people in ([world.actor("nils").did], [suspended]):
        lake.pull(sample_server, actors=people)
    files = list(lake.dataset.rglob("*.parquet"))
    assert files
    assert [file.name for file in files if not pq.read_metadata(file).num_rows] == []
