"""Lakes and warehouses that several tests look at."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.conftest import built_once
from tests.dbt.warehouses import BUILD_AFTER_DAYS, LAST_DAY, WHAT_IS_KEPT, Warehouse, new_project

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def ten_days(tmp_path_factory: pytest.TempPathFactory, parsed_project: Path) -> Warehouse:
    """Ten days of the sample, pulled one by one; dbt ran after some of them."""
    return Warehouse(built_once(tmp_path_factory, "ten_days", partial(pull_ten_days, parsed_project=parsed_project)))


def pull_ten_days(folder: Path, parsed_project: Path) -> None:
    warehouse = Warehouse(new_project(folder, parsed_project))
    for day in range(1, LAST_DAY + 1):
        warehouse.pull(day)
        if day in BUILD_AFTER_DAYS:
            warehouse.dbt("run", *([] if day == LAST_DAY else [WHAT_IS_KEPT]))
