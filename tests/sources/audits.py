"""Audits of a lake, with a warehouse that knows what the models for audits say and who has opted out, and no more."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from pipelines import bluesky
from pipelines.audits import Auditing, AuditSummary, audits_due
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.lake.tables import AUTHOR_FEED, MEMBER_RECORDS, RECORD_CHECKS
from pipelines.lake.working_folder import open_pipeline, recover
from pipelines.network.appview import AppView
from pipelines.network.connect import Network
from pipelines.network.pacing import Pacer
from pipelines.network.repositories import Repositories
from pipelines.sample.world.truth import FOLLOW, LIKE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    import pyarrow as pa

    from pipelines.sample.appview.server import SampleServer
    from pipelines.sample.world.world import Day
    from tests.conftest import Lake

Json = dict[str, Any]
Known = dict[str, tuple[str | None, bool]]

# Of each record, what was seen of it last.
_KNOWN = """
    create or replace table int_known_records as
    with seen as (
        select post_uri as uri, author_did as did, 'app.bsky.feed.post' as collection, post_cid as cid,
            false as is_gone, observed_at
        from author_feed
        union all
        select item_uri, member_did, 'app.bsky.feed.repost', null, false, observed_at
        from author_feed where reason_type = 'repost'
        union all
        select uri, did, collection, if(collection = 'app.bsky.feed.post', cid, null), outcome = 'record_gone',
            observed_at
        from record_checks where outcome in ('in_repository', 'hidden_by_service', 'record_gone')
    )
    select uri, did, collection, arg_max(cid, observed_at) as cid, arg_max(is_gone, observed_at) as is_gone
    from seen group by all having uri is not null
"""


_KNOWN_MEMBER_RECORDS = """
    create or replace table int_known_member_records as
    select member_did as did, uri, collection, arg_max(cid, observed_at) as cid,
        arg_max(is_gone, observed_at) as is_gone
    from member_records group by all
"""


@dataclass(frozen=True)
class Audited:
    """What the audits of a run did.

    Attributes:
        rows: Rows of `feed_audits` by DID.
        checks: Rows of `record_checks` that the run brought, by URI.
        kept: Rows of `member_records` that the run brought, by URI.
        shown: Rows of `author_feed` that the run brought, by URI.
        requests: How often the server was asked for each method.
        known: What the lake knew before, by URI: version, and whether it is gone.
    """

    known: Known
    summary: AuditSummary
    rows: dict[str, Json]
    checks: dict[str, Json]
    kept: dict[str, Json]
    shown: dict[str, Json]
    requests: Counter[str]


def known_records(lake: Lake, opted_out: Sequence[str] = ()) -> Known:
    """Write the warehouse anew from the lake; give its records by URI: version, and whether it is gone."""
    path = duckdb_settings(lake.pipeline_name).warehouse_path
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(path)) as warehouse:
        for table in (AUTHOR_FEED, RECORD_CHECKS, MEMBER_RECORDS):
            is_there = (lake.dataset / table.name).is_dir()
            warehouse.register(table.name, _rows(lake, table.name) if is_there else table.schema.empty_table())
        warehouse.sql(_KNOWN)
        warehouse.sql(_KNOWN_MEMBER_RECORDS)
        warehouse.execute(
            "create or replace table int_opted_out_authors as select unnest($1::varchar[]) as did", [list(opted_out)]
        )
        rows = warehouse.sql("select uri, cid, is_gone from int_known_records").fetchall()
    return {uri: (cid, is_gone) for uri, cid, is_gone in rows}


def run_audits(
    lake: Lake,
    server: SampleServer,
    dids: Sequence[str] | None = None,
    *,
    at: datetime | None = None,
    days: float = 7,
    opted_out: Sequence[str] = (),
    collections: Sequence[str] = (FOLLOW, LIKE),
) -> Audited:
    """Audit as the job does.

    Args:
        lake: What was pulled.
        server: Whom to ask.
        dids: Who is audited; those whose audit is due if not given.
        at: When; in the evening that the server shows if not given.
        days: The setting `audit_days`.
        opted_out: Who has opted out since they were read.
        collections: The setting `audit_collections`.
    """
    known = known_records(lake, opted_out)
    now = at or server.world.on(server.day).now
    appview = AppView(server.url, Pacer(100_000), **lake.client)
    network = Network(appview, Repositories(appview, server.url), server.url)
    pipeline = recover(open_pipeline(lake.pipeline_name))
    states = bluesky.member_states(pipeline)
    due = audits_due(states, now, days) if dids is None else dids
    asked_before, loads_before = len(server.requests), loads(lake)
    summary = Auditing(pipeline, network, lambda: now, collections).audit(states, due)
    new = sorted(loads(lake) - loads_before)

    def brought(table: str, key: str) -> dict[str, Json]:
        if not (lake.dataset / table).is_dir() or not new:
            return {}
        return {row[key]: row for row in _rows(lake, table).to_pylist() if row["_dlt_load_id"] in new}

    return Audited(
        known,
        summary,
        brought("feed_audits", "member_did"),
        brought("record_checks", "uri"),
        brought("member_records", "uri"),
        brought("author_feed", "item_uri"),
        Counter(request.nsid.rpartition(".")[2] for request in server.requests[asked_before:]),
    )


def loads(lake: Lake) -> set[str]:
    return {path.stem.split("__")[-1] for path in (lake.dataset / "_dlt_loads").glob("*.jsonl")}


def _rows(lake: Lake, table: str) -> pa.Table:
    files = lake.dataset / table / "**" / "*.parquet"
    with duckdb.connect() as connection:
        return connection.sql(f"from read_parquet('{files}', union_by_name=true)").to_arrow_table()


def in_repository(day: Day, did: str) -> dict[str, str | None]:
    """Tell which posts and reposts a repository has: version by URI; None for a repost."""
    return {
        f"at://{did}/{one.collection}/{one.rkey}": one.cid if one.collection == "app.bsky.feed.post" else None
        for one in day.repository(did)
        if one.collection in ("app.bsky.feed.post", "app.bsky.feed.repost")
    }


def ties(day: Day, did: str) -> dict[str, str]:
    """Tell whom somebody follows and what they like: version by URI."""
    return {
        f"at://{did}/{one.collection}/{one.rkey}": one.cid
        for one in day.repository(did)
        if one.collection in (FOLLOW, LIKE)
    }


def living(known: Known, did: str) -> dict[str, str | None]:
    """Tell which posts and reposts of somebody the lake holds to be there: version by URI."""
    return {uri: cid for uri, (cid, is_gone) in known.items() if uri.startswith(f"at://{did}/") and not is_gone}


def kept_records(lake: Lake) -> dict[str, str]:
    """Give the follows and likes that the lake holds to be there: version by URI."""
    known_records(lake)
    with duckdb.connect(str(duckdb_settings(lake.pipeline_name).warehouse_path), read_only=True) as warehouse:
        rows = warehouse.sql("select uri, cid from int_known_member_records where not is_gone").fetchall()
    return dict(rows)
