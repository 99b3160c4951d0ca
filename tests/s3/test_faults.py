"""A bucket that fails at any request costs a line and a run, and no row.

Where the server did what it was asked and its answer is lost, the same is asked again; whatever ends a job is one line,
and the next run goes on from what the lake holds.
"""

from __future__ import annotations

import random
import re
from functools import cache
from typing import TYPE_CHECKING, Final

import pytest

from pipelines.lake.bucket import LakeError
from pipelines.warehouse import build_questions
from tests.dbt.warehouses import Warehouse, differences_of
from tests.dbt_command import run_dbt
from tests.s3.conftest import BUCKET, S3Server
from tests.s3.faulted_bucket import DONE, JOBS, FaultedBucket, Job, faulted_bucket, faults
from tests.s3.faulting_proxy import KINDS, Fault, Kind
from tests.seeds import RARE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pipelines.sample.world.world import World


MARTS: Final = ("bridge_", "dim_", "fct_", "rpt_")
OF_LOADS: Final = {"fct_loads", "rpt_nights"}
"""Their rows are loads, one of which failed."""
OF_ITS_LOAD: Final = {"source_file", "file_row_number", "last_load_at", "complete_load_count", "incomplete_load_count"}
"""Columns that say which load brought a row, and how many there were."""
WHEN_HEARD: Final = {"observed_at", "first_observed_at", "last_observed_at"}
"""A batch that is heard again is heard later."""


@pytest.fixture(scope="module")
def bucket(rclone: S3Server, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultedBucket]:
    (rclone.folder / BUCKET).mkdir(exist_ok=True)
    with faulted_bucket(world, tmp_path_factory.mktemp("faults"), BUCKET, rclone.settings()) as found:
        yield found


@pytest.fixture(scope="module")
def true_marts(bucket: FaultedBucket, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Job], Warehouse]:
    """What dbt makes of a lake that met no fault."""
    folder = tmp_path_factory.mktemp("marts")

    @cache
    def build_true(job: Job) -> Warehouse:
        bucket.count_requests(job)
        with bucket.case():
            assert bucket.do(job) == DONE
            return build(Warehouse(folder, job))

    return build_true


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS)
def test_a_fault_costs_a_line_and_a_run(bucket: FaultedBucket, job: Job) -> None:
    table = faults(bucket.count_requests(job))
    for number, fault in enumerate(random.Random(job).sample(table, 4)):
        bucket.assert_a_fault_costs_nothing(job, fault, same_machine=number % 2 == 0)


@pytest.mark.slow
@pytest.mark.rare
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("job", JOBS)
def test_any_fault_costs_a_line_and_a_run(bucket: FaultedBucket, job: Job, kind: Kind) -> None:
    """At every request, once at one and lasting from the next."""
    for fault in faults(bucket.count_requests(job)):
        if fault.kind == kind and fault.is_lasting == (fault.request + KINDS.index(kind)) % 2:
            bucket.assert_a_fault_costs_nothing(job, fault, same_machine=fault.request % 2 == 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("people", "The bucket refuses the key to read"),
        ("list-type=2&prefix=case", "The bucket refuses the key"),
    ],
)
def test_a_key_for_the_data_set_alone_is_told_what_right_it_lacks(bucket: FaultedBucket, path: str, said: str) -> None:
    with bucket.case():
        bucket.proxy.fail(Fault("403", 1, is_lasting=True, path=path))
        outcome = bucket.compaction()
        assert outcome.exit_code == 1
        assert outcome.said.startswith(said)
        assert "list, read, write and delete all under s3://" in outcome.said
        assert outcome.said.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("job", "asked", "kind"),
    [
        pytest.param("night", "PUT .*author_feed/", "lost"),
        pytest.param("night", "PUT .*_dlt_loads/", "503", marks=RARE),
        pytest.param("batch", "PUT .*repo_events/", "reset", marks=RARE),
        pytest.param("batch", "PUT .*_dlt_pipeline_state/", "lost", marks=RARE),
        pytest.param("compaction", "DELETE .*repo_events/", "403", marks=RARE),
    ],
)
def test_marts_are_the_truth_after_the_next_run(
    bucket: FaultedBucket, true_marts: Callable[[Job], Warehouse], job: Job, asked: str, kind: Kind
) -> None:
    true = true_marts(job)
    request = next(number for number, name in enumerate(bucket.requests[job], start=1) if re.match(asked, name))
    with bucket.case():
        bucket.proxy.fail(Fault(kind, request, is_lasting=True))
        assert bucket.do(job).exit_code == 1
        bucket.proxy.heal()
        found = build(Warehouse(true.folder, f"{job}, {kind} from {request}"))
        assert bucket.do(job) == DONE
        build(found)
    differing = differences_of(true, found, but=OF_ITS_LOAD | (WHEN_HEARD if job == "batch" else set()))
    assert {mart for mart in differing if mart.startswith(MARTS)} <= OF_LOADS


def build(warehouse: Warehouse) -> Warehouse:
    """Let dbt read the lake of the case."""
    with pytest.MonkeyPatch.context() as settings:
        settings.setenv("PIPELINES__BLUESKY__WAREHOUSE", str(warehouse.path))
        settings.setenv("DBT_TARGET_PATH", str(warehouse.folder / "target"))
        settings.setenv("DBT_LOG_PATH", str(warehouse.folder / "logs"))
        outcome = run_dbt("run")
    assert outcome.success, outcome.exception or outcome.result
    return warehouse


@pytest.mark.slow
def test_a_bucket_that_fails_while_dbt_reads_is_one_line(
    bucket: FaultedBucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("DBT_TARGET_PATH", "DBT_LOG_PATH"):
        monkeypatch.setenv(name, str(tmp_path / name))
    said = {
        Fault("503", 1, is_lasting=True, path="people"): "people/ cannot be read",
        Fault("503", 1, is_lasting=True, path="bluesky%2F"): "The bucket's service cannot answer now",
        Fault("403", 1, is_lasting=True, path="bluesky%2F"): "The bucket refuses the key",
        Fault("reset", 1, is_lasting=True, path="bluesky%2F"): "The bucket's endpoint cannot be reached",
    }
    for fault, line in said.items():
        with bucket.case():
            bucket.proxy.fail(fault)
            with pytest.raises(LakeError, match=line) as raised:
                build_questions(is_sample=False)
        assert "\n" not in str(raised.value)
    assert "".join(capfd.readouterr()) == ""
