"""Whatever else lies in the lake, each job reads its own files, or ends in one line that names what it cannot read."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import dlt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.explain import explain
from pipelines.lake.compaction import compact
from pipelines.lake.damaged import remove_damaged_files
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.lake.forget_tables import LakeFiles
from pipelines.lake.lease import lease
from pipelines.lake.left_out import read_left_out
from pipelines.lake.members import read_members
from pipelines.sample.appview.server import SampleServer
from tests.conftest import isolated_lake

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pipelines.sample.world.world import World
    from tests.conftest import Lake

FOLDERS: Final = (
    "starter_pack_members",
    "author_feed/2026-01-01",
    "repo_events/2026-01-01",
    "_dlt_pipeline_state",
    "_dlt_version",
    "_dlt_loads",
    "_leases",
    "../people",
    "no table of ours",
)
ENDS: Final = ("", ".parquet", ".jsonl", ".json", ".txt", ".parquet.partial")
FOLDER: Final = None
FOOTER: Final = b"\x15\x04" * 20 + b"\x28\0\0\0"
CONTENTS: Final = (
    *(FOLDER, b"", b"{}", b"[]", b"null", b"[1e999]", b"\xff\xfe", b'{"until": {}}'),
    *(b"PAR1", b"PAR1" + bytes(40) + b"PAR1", b"PAR1" + FOOTER + b"PAR1"),
)

names = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=40),
    st.sampled_from(
        ["left_out", "forgotten", "forgetting", "00000001", "99999999", "٣", "1.2", "*", "[", "';drop table x;--"]
    ),
).filter(lambda name: name not in (".", "..") and len(name.encode()) < 200)
foreign = st.tuples(st.sampled_from(FOLDERS), names, st.sampled_from(ENDS), st.sampled_from(CONTENTS))


def _forget_nobody(pipeline: dlt.Pipeline) -> None:
    files = LakeFiles(pipeline, duckdb_settings("bluesky"))
    files.handles_of("did:plc:nobodynobodynobodynobod")


def _take_lease(pipeline: dlt.Pipeline) -> None:
    with lease(pipeline):
        pass


READERS: Final[tuple[Callable[[dlt.Pipeline], object], ...]] = (
    remove_damaged_files,
    read_members,
    compact,
    _forget_nobody,
    _take_lease,
    lambda _: read_left_out("bluesky", None),
)


@pytest.fixture(scope="module")
def pulled(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    with isolated_lake(tmp_path_factory.mktemp("pulled")) as lake, SampleServer(world) as server:
        lake.pull(server, actors=[world.actor("nils").did])
        return lake.dataset


@pytest.mark.slow
@given(files=st.lists(foreign, min_size=1, max_size=4))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_file_of_somebody_else_ends_a_job_in_a_stack_trace(
    lake: Lake, pulled: Path, files: list[tuple[str, str, str, bytes | None]]
) -> None:
    shutil.rmtree(lake.dataset.parent, ignore_errors=True)
    shutil.copytree(pulled, lake.dataset)
    for folder, name, end, content in files:
        path = lake.dataset / folder / f"{name}{end}"
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():  # Two of them with one name.
            continue
        if content is FOLDER:
            path.mkdir()
        else:
            path.write_bytes(content)
    for read in READERS:
        try:
            read(dlt.pipeline("bluesky"))
        except Exception as error:
            said = explain(error)
            if said is None:
                raise
            for _, name, _, _ in files:  # A line end in a name ends no line: the terminal shows it.
                said = said.replace(name, "")
            assert "\n" not in said
