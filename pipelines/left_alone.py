"""Of whom nobody asks for anything, though others show them: who opted out of a pack, or is in a block."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlt.common.configuration import with_config

from pipelines.lake.duckdb_settings import has_relation

if TYPE_CHECKING:
    import duckdb


@with_config(sections=("sources", "bluesky"))
def are_blocked_followed(follow_blocked: bool = False) -> bool:
    """Tell whether the settings want those in a block relation with a list's creator."""
    return follow_blocked


def left_alone(warehouse: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Ask the warehouse whom the pull does not read, though they are in a pack.

    Args:
        warehouse: An open one; where it does not know yet, there is nobody.
    """
    found: list[tuple[str]] = []
    if has_relation(warehouse, "int_opted_out_authors"):
        found += warehouse.execute("select did from int_opted_out_authors").fetchall()
    if has_relation(warehouse, "int_membership_spans") and not are_blocked_followed():
        found += warehouse.execute(
            "select did from int_membership_spans where is_current group by did having not bool_or(is_listed)"
            " and bool_or(coalesce(hidden_because in ('blocks_creator', 'blocked_by_creator'), false))"
        ).fetchall()
    return frozenset(did for (did,) in found)
