"""A job that cannot tell who is left out publishes nothing, and says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
import pytest

from pipelines.lake.left_out import Found, LeftOut, Named
from pipelines.report import ReportError, build_report
from tests.dbt.warehouses import Warehouse, new_project

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.sample.world.world import World


@pytest.mark.slow
def test_the_page_waits_until_everybody_who_is_left_out_is_found(
    tmp_path: Path, parsed_project: Path, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """João left the pack before anybody looked, so that the lake knows nothing of him."""
    joao, mara = world.actor("joao"), world.actor("mara")
    warehouse = Warehouse(new_project(tmp_path / "project", parsed_project))
    page, names = warehouse.path.with_name("report.html"), warehouse.dataset.parent / "people" / "left_out.txt"
    names.parent.mkdir(parents=True)
    names.write_text(f"@{joao.handles[0][1].upper()}\nnobody.bsky.test\n", encoding="utf-8")
    assert warehouse.job("--day", "1", "--no-transform") == 2, "pulled all the same"
    said = capsys.readouterr().err
    assert "the page stays as it was. Line 2 of people/left_out.txt" in said
    assert "There is no warehouse" not in said, "no page is tried"
    names.write_text(f"@{joao.handles[0][1].upper()}\n", encoding="utf-8")
    warehouse.dbt("run")
    assert warehouse.report() == 0
    shown = page.read_text(encoding="utf-8")
    assert "Are you in here?" in shown
    assert joao.did not in shown
    assert joao.handles[0][1] not in shown
    assert {(joao.did,), (joao.handles[0][1],)} <= set(warehouse.rows("from int_withheld_names"))
    names.write_text(f"{mara.did}\n", encoding="utf-8")
    assert warehouse.report() == 1
    assert "older than the names" in capsys.readouterr().err
    names.write_text("nobody.bsky.test\n", encoding="utf-8")
    assert warehouse.report() == 1
    assert "No page is written. Line 1 of people/left_out.txt" in capsys.readouterr().err
    assert page.read_text(encoding="utf-8") == shown


@pytest.mark.parametrize(
    ("withheld_because", "withheld_name", "said"),
    [
        (
            "left_out_unresolved",
            "did:plc:a",
            "^The marts were built when a name of those who are left out led to nobody",
        ),
        ("opted_out", "did:plc:b", "^The marts are older than the names"),
        ("opted_out", "did:plc:a", "lacks marts"),
    ],
)
def test_marts_that_dbt_built_by_other_settings_make_no_page(
    tmp_path: Path, withheld_because: str, withheld_name: str, said: str
) -> None:
    """As `dbt build --vars` with a name that leads to nobody does, of which this command knows nothing."""
    warehouse, page = tmp_path / "bluesky.duckdb", tmp_path / "report.html"
    with duckdb.connect(str(warehouse)) as marts:
        marts.execute(f"create table int_publishable_authors as select '{withheld_because}' as withheld_because")
        marts.execute(f"create table int_withheld_names as select '{withheld_name}' as withheld_name")
    left_out = LeftOut((Named("Name 1", "a.test"),), Found({"a.test": "did:plc:a"}))
    with pytest.raises(ReportError, match=said):
        build_report(warehouse, page, "1GB", left_out=left_out)
    assert not page.exists()
