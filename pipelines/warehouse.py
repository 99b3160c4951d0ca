"""From the lake to the warehouse: `dbt build`, run from a job."""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import duckdb

from pipelines.lake.bucket import PROJECT_ROOT, LakeError
from pipelines.lake.duckdb_settings import duckdb_settings, explain_warehouse_error
from pipelines.lake.local_disk import explain_disk_error, has_no_room

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DBT_PROJECT: Final = PROJECT_ROOT / "dbt"

CHECKED_MODELS: Final = (
    "int_open_questions",
    "int_known_records",
    "int_known_member_records",
    "stg_bluesky__repo_event_gaps",
    "int_audience_posts",
)


@dataclass(frozen=True)
class BuildOutcome:
    """How a build went.

    Attributes:
        target: dbt's name for the warehouse.
        is_success: Whether all models were built and all tests passed.
        counts: Nodes by kind: models, tests.
        seconds: How long it took.
    """

    target: str
    is_success: bool
    counts: Counter[str]
    seconds: float

    def __str__(self) -> str:
        """Say it in one line."""
        if not self.is_success:
            return f"dbt build failed, the lake is untouched. To see more: cd dbt && dbt build --target {self.target}"
        kinds = ", ".join(f"{count:,} {kind}{'s' if count > 1 else ''}" for kind, count in self.counts.items())
        return f"{kinds} in {self.seconds:,.0f} s"


def build_warehouse(is_sample: bool) -> BuildOutcome:
    """Run `dbt build`. dbt prints what fails.

    Args:
        is_sample: Whether the sample's warehouse is meant.

    Raises:
        LakeError: The settings or the warehouse cannot be used.
        KeyboardInterrupt: A signal ended it.
    """
    # Unit tests are of the SQL, not of the lake: they say in development, and in CI, what no night can change.
    return _run_dbt(is_sample, "build", "--exclude-resource-type=unit_test")


def build_questions(is_sample: bool) -> BuildOutcome:
    """Build what the work between two builds reads: what is in doubt, what is known, whose audience to ask for.

    Args:
        is_sample: Whether the sample's warehouse is meant.

    Raises:
        LakeError: The settings or the warehouse cannot be used.
        KeyboardInterrupt: A signal ended it.
    """
    return _run_dbt(is_sample, "run", "--select", *(f"+{model}" for model in CHECKED_MODELS))


def _run_dbt(is_sample: bool, *command: str) -> BuildOutcome:
    # Imported here: dbt takes a second to import, which `--no-transform` and `--help` need not wait for.
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415
    from dbt.artifacts.schemas.run import RunExecutionResult  # noqa: PLC0415
    from dbt.cli.main import dbtRunner  # noqa: PLC0415

    begun = time.monotonic()
    # dbt would find it out too, and say it in many lines.
    settings = duckdb_settings("bluesky_sample" if is_sample else "bluesky")
    settings.open_warehouse().close()
    target = "sample" if is_sample else "bluesky"
    flags = ["--target", target, "--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
    said: list[str] = []

    def keep_error(event: Any) -> None:  # dbt's type for it lacks `msg`
        if event.info.level == "error":
            said.append(event.info.msg)

    outcome = dbtRunner(callbacks=[keep_error]).invoke(["--quiet", "--log-level=none", *command, *flags])
    # Else this process would hold the file until its end, and nobody could open it.
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    if isinstance(outcome.exception, KeyboardInterrupt):
        raise outcome.exception  # What it broke off is no error of a model.
    trouble = _trouble_of_disk(outcome.exception, said, settings.warehouse_path)
    if trouble:
        raise LakeError(trouble) from outcome.exception
    if said:
        print("\n".join(said))
    results = outcome.result.results if isinstance(outcome.result, RunExecutionResult) else []
    counts = Counter(str(result.node.resource_type) for result in results)
    return BuildOutcome(target, outcome.success, counts, time.monotonic() - begun)


def _trouble_of_disk(error: BaseException | None, said: Sequence[str], warehouse: Path) -> str | None:
    """Say in one line where there was no room, or nothing could be written; None if that is not why a build failed.

    dbt says it of each model, or in a stack trace.
    """
    if isinstance(error, OSError):
        error.filename = error.filename or os.environ.get("DBT_TARGET_PATH") or str(DBT_PROJECT / "target")
        return explain_disk_error(error)
    if any(map(has_no_room, said)):
        return explain_warehouse_error(warehouse, duckdb.IOException(os.strerror(errno.ENOSPC)))
    return None
