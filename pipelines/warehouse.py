"""From the lake to the warehouse: `dbt build`, run from a job."""

from __future__ import annotations

import errno
import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

import dlt
import duckdb

from pipelines.lake.bucket import PROJECT_ROOT, LakeError, explain_lake_error, use_project_settings
from pipelines.lake.duckdb_settings import duckdb_settings, explain_warehouse_error
from pipelines.lake.forget_warehouse import begin_anew_after_forgetting
from pipelines.lake.loads import causes
from pipelines.lake.local_disk import explain_disk_error, has_no_room
from pipelines.lake.spark_session import REMOTE, check_client, check_path, open_session, own_schema, tell_session
from pipelines.lake.spark_tables import publish_tables, tables_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dbt.cli.main import dbtRunnerResult

    from pipelines.lake.duckdb_settings import DuckDBSettings

DBT_PROJECT: Final = PROJECT_ROOT / "dbt"

_MET_IN_BUCKET: Final = re.compile(r"HTTP Error: .*?\bHTTP (?P<status>[45]\d\d)\b.*|IO Error: .* error for HTTP .*")

DUCKDB: Final = "duckdb"
SAIL: Final = "sail"

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
    pipeline_name = "bluesky_sample" if is_sample else "bluesky"
    # dbt would find it out too, and say it in many lines.
    settings = duckdb_settings(pipeline_name)
    settings.open_warehouse().close()
    builder = engine(pipeline_name)
    target = (("bluesky", "sample") if builder == DUCKDB else ("sail", "sail_sample"))[is_sample]
    flags = ["--target", target, "--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
    said: list[str] = []

    def keep_error(event: Any) -> None:  # dbt's type for it lacks `msg`
        if event.info.level == "error":
            said.append(event.info.msg)

    def invoke() -> dbtRunnerResult:
        return dbtRunner(callbacks=[keep_error]).invoke(["--quiet", "--log-level=none", *command, *flags])

    outcome = invoke() if builder == DUCKDB else _on_engine(builder, invoke, pipeline_name, settings)
    # Else this process would hold the file until its end, and nobody could open it.
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    if isinstance(outcome.exception, KeyboardInterrupt):
        raise outcome.exception  # What it broke off is no error of a model.
    trouble = _trouble_of_disk(outcome.exception, said, settings.warehouse_path) or _trouble_of_lake(
        outcome.exception, said
    )
    if trouble:
        raise LakeError(trouble) from outcome.exception
    if said:
        print("\n".join(said))
    results = outcome.result.results if isinstance(outcome.result, RunExecutionResult) else []
    counts = Counter(str(result.node.resource_type) for result in results)
    return BuildOutcome(target, outcome.success, counts, time.monotonic() - begun)


def engine(pipeline_name: str) -> str:
    """Tell which engine builds the models: `engine` in [warehouse].

    Args:
        pipeline_name: Whose lake and warehouse it has to do with.

    Raises:
        LakeError: It is none, or its client is not installed, or it cannot read or write there.
    """
    use_project_settings()
    name = dlt.config.get("warehouse.engine", str) or DUCKDB
    if name not in {DUCKDB, SAIL} and not name.startswith(REMOTE):
        raise LakeError(f"engine in [warehouse] is {name!r}: it is {DUCKDB}, {SAIL}, or {REMOTE}host:port.")
    if name != DUCKDB:
        check_client(name)
        settings = duckdb_settings(pipeline_name)
        check_path(settings.lake_path)
        check_path(str(settings.warehouse_path))
    return name


def _on_engine(
    name: str, invoke: Callable[[], dbtRunnerResult], pipeline_name: str, settings: DuckDBSettings
) -> dbtRunnerResult:
    """Build all of the models on another engine, and copy them into the warehouse if all went well."""
    begin_anew_after_forgetting(settings)
    with open_session(name, settings.environment) as spark, tables_folder(settings) as folder:
        tell_session(spark, pipeline_name, folder)
        with own_schema(spark, folder):
            outcome = invoke()
            if outcome.success:
                results = cast("Any", outcome.result).results
                models = [result.node for result in results if result.node.resource_type == "model"]
                publish_tables(spark, models, folder, settings)
        return outcome


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


def _trouble_of_lake(error: BaseException | None, said: Sequence[str]) -> str | None:
    """Say in one line what became of the bucket; None if that is not why a build failed.

    The plugin knows it; of what a model meets, dbt passes on DuckDB's words alone, in several lines for each model.
    """
    for cause in causes(error) if error else ():
        if isinstance(cause, LakeError):
            return str(cause)
    met = _MET_IN_BUCKET.search("\n".join(said))
    if met is None:
        return None
    met_by_duckdb = duckdb.HTTPException(met[0])
    met_by_duckdb.status_code = int(met["status"] or 0)
    return explain_lake_error(met_by_duckdb)
