"""dbt in the tests' own process, on the project in dbt/: the same as the command, and quicker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.lake.bucket import PROJECT_ROOT

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult


LEFT_OUT = "did:plc:leftoutleftoutleftoutlef"
"""Whom the settings leave out of what is published. One lake has them; a run with other settings parses all anew."""


def run_dbt(*arguments: str) -> dbtRunnerResult:
    """Run dbt quietly; where it keeps its files is said by its environment variables."""
    # Imported here: dbt takes longer to import than all else together, and a worker that runs no dbt need not wait.
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415
    from dbt.cli.main import dbtRunner  # noqa: PLC0415

    places = [f"--{kind}-dir={PROJECT_ROOT / 'dbt'}" for kind in ("project", "profiles")]
    # Nobody reads the log, in which each statement would stand: errors are in what is given back.
    options = ["--quiet", "--log-level=none", "--log-level-file=none"]
    # Nor what a run says of itself: writing that takes a tenth of the run.
    options += [] if "parse" in arguments else ["--no-write-json"]
    settings = f"--vars={{unpublished_dids: [{LEFT_OUT}]}}"
    outcome = dbtRunner().invoke([*options, *arguments, settings, *places])
    # Else this process would hold the warehouse until its end, and nobody could open it.
    DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]
    return outcome
