"""Where dlt's state keeps what is remembered of the members: with the table that it stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pipelines.lake.tables import AUTHOR_FEED, FEED_AUDITS, MEMBER_RECORDS, RECORD_CHECKS

if TYPE_CHECKING:
    from collections.abc import Container

    from pipelines.sources.feed_walk import MemberState

_FORMER_RESOURCE: Final = "member_feeds"
_HOLDS_AUDITS: Final = "holds_audits"


def member_states(source_state: dict[str, Any], tables: Container[str]) -> dict[str, MemberState]:
    """Find the members' states by DID, in the resource state of `author_feed`.

    `dlt pipeline bluesky drop author_feed` deletes a table and resets the state of the resource of that name; so the
    cursors go with the items that they stand for. Once they were kept under `member_feeds`, which has no table: these
    are moved, unless the table has been dropped since.

    What is remembered of audits goes with `feed_audits`, and with `record_checks`, which holds what they found gone and
    what they read from repositories; which other records they kept goes with `member_records`. A table without rows is
    in no schema, and an audit may have found nothing to say; so a mark in the state of either tells that it was not
    dropped since.

    Args:
        source_state: dlt's state of the source, which is changed.
        tables: The tables of the source's schema.
    """
    resources = source_state.setdefault("resources", {})
    former: dict[str, MemberState] = resources.pop(_FORMER_RESOURCE, {}).get("members", {})
    own = resources.setdefault(AUTHOR_FEED.name, {})
    if "members" not in own:
        own["members"] = former if AUTHOR_FEED.name in tables else {}
    members: dict[str, MemberState] = own["members"]
    checks = resources.setdefault(RECORD_CHECKS.name, {})
    if FEED_AUDITS.name not in tables or _HOLDS_AUDITS not in checks:
        for state in members.values():
            state.pop("audit", None)
        checks[_HOLDS_AUDITS] = True
    kept = resources.setdefault(MEMBER_RECORDS.name, {})
    if _HOLDS_AUDITS not in kept:
        for state in members.values():
            if "audit" in state:
                state["audit"].pop("collections", None)
        kept[_HOLDS_AUDITS] = True
    return members
