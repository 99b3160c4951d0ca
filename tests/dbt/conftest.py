"""Lakes and warehouses that several tests look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.dbt.warehouses import BUILD_AFTER_DAYS, LAST_DAY, WHAT_IS_KEPT, Warehouse, new_project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def ten_days(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Warehouse:
    """Ten days of the sample, pulled one by one; dbt ran after some of them."""
    warehouse = Warehouse(new_project(tmp_path_factory.mktemp("ten_days") / "project", parsed_project))
    for day in range(1, LAST_DAY + 1):
        warehouse.pull(day)
        if day in BUILD_AFTER_DAYS:
            warehouse.dbt("run", *([] if day == LAST_DAY else [WHAT_IS_KEPT]))
    return warehouse
