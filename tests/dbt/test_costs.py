"""What models may cost as a lake grows old."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from dbt.contracts.graph.nodes import ModelNode

from tests.dbt.test_random_lakes import Chance
from tests.dbt.warehouses import Warehouse, new_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow

NIGHTS = range(1, 31)
MAKES_ROWS = {"dim_dates"}
"""It has a row for each day of some years, and reads nearly nothing."""


def steps_of(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for step in plan.get("children", []):
        yield from steps_of(step)


def test_no_model_joins_each_night_with_each_other_night(tmp_path: Path, parsed_project: Path) -> None:
    """After a year such a join has 365 rows for each one that it reads, after three years 1,095."""
    warehouse = Warehouse(new_project(tmp_path / "project", parsed_project))
    chance = Chance(0, NIGHTS)
    for number in NIGHTS:
        chance.load(number).write(warehouse.dataset)
    models = [run.node for run in warehouse.dbt("run") if isinstance(run.node, ModelNode)]
    tables = [model for model in models if model.config.materialized == "table" and model.language == "sql"]
    too_many = {}
    with duckdb.connect(str(warehouse.path), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        for model in tables:
            query = f"explain (analyze, format json) {model.compiled_code}"
            steps = list(steps_of(json.loads(connection.execute(query).fetchall()[0][1])))
            most_read = max(step.get("operator_rows_scanned", 0) for step in steps)
            most_made = max(step.get("operator_cardinality", 0) for step in steps)
            if most_read >= len(NIGHTS) and most_made > 8 * most_read:
                too_many[model.name] = (most_read, most_made)
    assert too_many.keys() == MAKES_ROWS, too_many
