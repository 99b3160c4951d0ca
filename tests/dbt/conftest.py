"""Lakes and warehouses that several tests look at."""

from __future__ import annotations

import pytest

from tests.dbt.warehouses import BUILD_AFTER_DAYS, LAST_DAY, Warehouse, new_project


@pytest.fixture(scope="session")
def ten_days(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Ten days of the sample, pulled one by one; dbt ran after some of them."""
    warehouse = Warehouse(new_project(tmp_path_factory.mktemp("ten_days") / "project"))
    for day in range(1, LAST_DAY + 1):
        warehouse.pull(day)
        if day in BUILD_AFTER_DAYS:
            warehouse.dbt("run")
    return warehouse
