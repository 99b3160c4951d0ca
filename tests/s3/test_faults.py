"""A bucket that fails at any request costs a line and a run, and no row.

Where the server did what it was asked and its answer is lost, the same is asked again; whatever ends a job is one line,
and the next run goes on from what the lake holds.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.s3.conftest import BUCKET, S3Server
from tests.s3.faulted_bucket import JOBS, FaultedBucket, Job, faulted_bucket, faults
from tests.s3.faulting_proxy import KINDS, Fault, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.sample.world.world import World


@pytest.fixture(scope="module")
def bucket(rclone: S3Server, world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultedBucket]:
    (rclone.folder / BUCKET).mkdir(exist_ok=True)
    with faulted_bucket(world, tmp_path_factory.mktemp("faults"), BUCKET, rclone.settings()) as found:
        yield found


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
