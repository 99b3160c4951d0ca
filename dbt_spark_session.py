"""What makes `dbt build --target sail` work by itself: at each start, dbt asks modules whose names begin with `dbt_`.

The job opens the session of Spark Connect before it calls dbt, and copies what was built into the warehouse. Whoever
calls dbt themselves gets a session here. What dbt builds then is gone when it ends.
"""

from __future__ import annotations

import importlib.util
import os
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from click import get_current_context
from dbt.flags import get_flags
from dbt.plugins.manager import dbtPlugin

from pipelines.lake.bucket import LakeError
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.lake.spark_session import BY_ITSELF, SCHEMA, open_session, tell_session
from pipelines.warehouse import DUCKDB, SAIL, engine

PIPELINES: Final = {"sail": "bluesky", "sail_sample": "bluesky_sample"}
"""Whose lake a target reads."""


class SparkSessionPlugin(dbtPlugin):
    """Opens a session for a target that needs one."""

    def initialize(self) -> None:
        """Open it, unless the job has."""
        pipeline_name = PIPELINES.get(get_flags().TARGET)  # type: ignore[no-untyped-call]
        if pipeline_name is None or _is_open():
            return
        name = engine(pipeline_name)
        stack = ExitStack()
        settings = duckdb_settings(pipeline_name)
        spark = stack.enter_context(open_session(SAIL if name == DUCKDB else name, settings.environment))
        schema = os.environ.get(SCHEMA, BY_ITSELF)
        if spark.catalog.databaseExists(schema):
            raise LakeError(
                f"The engine has a schema {schema}, in which dbt would replace what has its models' names: drop it, or "
                f"name another in {SCHEMA}."
            )
        warehouse = settings.warehouse_path
        warehouse.parent.mkdir(parents=True, exist_ok=True)
        # Beside the warehouse, as the engine may be elsewhere; and not the job's folder, which may be building.
        folder = stack.enter_context(TemporaryDirectory(prefix=f"{warehouse.name}.dbt-", dir=warehouse.parent))
        tell_session(spark, pipeline_name, Path(folder))
        stack.callback(spark.sql, f"drop schema if exists {schema} cascade")
        # Not at the end of the process: Spark's client cannot ask for anything then.
        get_current_context().call_on_close(stack.close)


def _is_open() -> bool:
    if importlib.util.find_spec("pyspark") is None:
        return False
    from pyspark.sql import SparkSession  # noqa: PLC0415  (the extra `sail` brings it)

    return SparkSession.getActiveSession() is not None


plugins = [SparkSessionPlugin]
