"""Finds what a user has set that nobody reads: dlt passes over a key that is misspelt, and so would we.

It is said and not refused, as dlt's settings may hold what other programs of the user's read.
"""

from __future__ import annotations

import os
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from pipelines.lake.bucket import PROJECT_ROOT

SETTINGS: Final[dict[str, frozenset[str]]] = {
    "sources.bluesky": frozenset(
        {"service", "starter_packs", "lists", "actors", "left_out", "requests_per_second", "refresh_days", "catch_up"}
        | {"full_sweep_days", "follow_blocked", "audit_days", "backfill_days", "contact", "login_service", "full"}
        | {"plc_directory", "short_link_service", "inside_hosts", "handle", "app_password", "audit_collections"}
        | {"audience_requests", "ask_all_up_to", "spread"}
    ),
    "sources.repo_events": frozenset(
        {"jetstream_service", "jetstream_legacy_service", "firehose_service", "collections", "batch_seconds", "contact"}
        | {"batch_events", "stall_seconds", "webhook_host", "webhook_port", "webhook_spool", "webhook_spool_events"}
        | {"webhook_password", "kafka_topic", "kafka_value_decoder"}
    ),
    "retention": frozenset({"keep_deleted_days", "keep_raw_days"}),
    "warehouse": frozenset({"memory_limit", "engine"}),
    "page": frozenset({"contact"}),
    "export": frozenset({"database", "motherduck_token", "nightly", "salt"}),
}
"""The keys of the sections that are ours; dlt's own are its."""


def unknown_settings() -> list[str]:
    """Name each key in the project's settings that nobody reads, a line each."""
    folder = Path(os.environ.get("DLT_PROJECT_DIR", str(PROJECT_ROOT)), ".dlt")
    return [
        line
        for file in ("config.toml", "secrets.toml")
        if (folder / file).is_file()
        for line in _unknown_in(f".dlt/{file}", (folder / file).read_text(encoding="utf-8", errors="replace"))
    ]


def _unknown_in(file: str, content: str) -> list[str]:
    try:
        settings: Any = tomllib.loads(content)
    except tomllib.TOMLDecodeError:
        return []  # dlt says what is wrong with it.
    lines = []
    for section, known in SETTINGS.items():
        keys = settings
        for part in section.split("."):
            keys = keys.get(part) if isinstance(keys, dict) else None
        for key in keys if isinstance(keys, dict) else ():
            # A section below is for one resource or function, as dlt has them.
            if key not in known and not isinstance(keys[key], dict):
                close = get_close_matches(key, known, n=1)
                meant = f" Did you mean {close[0]}?" if close else ""
                lines.append(f"{file}: nobody reads {key} in [{section}].{meant}")
    return lines
