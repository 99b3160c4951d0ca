"""Whose a handle is, only the service says: anybody may write a record that says otherwise."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import fsspec
import msgspec
import pyarrow.parquet as pq
import pytest

from pipelines.lake import forget_tables
from pipelines.lake.bucket import LakeError
from pipelines.lake.forget_tables import LakeFiles
from pipelines.lake.served_names import served_names
from pipelines.lake.tables import AUTHOR_FEED
from pipelines.sources.rows import arrow_table, feed_item_row, microseconds

if TYPE_CHECKING:
    from pathlib import Path

DID, OTHER = "did:plc:mpyqgmifpweqk32rnmzeisfp", "did:plc:sacypzhn6s6cudpvtzs22c64"
LIE = {"did": DID, "handle": "lie.example"}
NILS = {"did": DID, "handle": "Nils.example"}
NOW = datetime(2026, 3, 1, tzinfo=UTC)
POST = {"uri": f"at://{OTHER}/app.bsky.feed.post/3k", "cid": "b"}


@pytest.mark.parametrize(
    "view",
    [
        NILS,
        {"subject": NILS},
        {"creator": NILS, "record": {"creator": LIE}, "uri": "at://x"},
        {"post": {**POST, "author": NILS, "record": {"author": LIE}}},
        {"post": POST, "reason": {"by": NILS}},
        {"post": POST, "reply": {"parent": {**POST, "author": NILS}, "grandparentAuthor": LIE | NILS}},
        {"post": {**POST, "embed": {"record": {**POST, "author": NILS, "value": {"author": LIE}}}}},
        {"post": {**POST, "embed": {"media": {"x": LIE}, "record": {"record": {**POST, "author": NILS}}}}},
        {"did": OTHER, "handle": "", "joinedViaStarterPack": {**POST, "creator": NILS, "record": LIE}},
    ],
)
def test_profiles_in_views_are_read(view: Any) -> None:
    assert set(served_names(json.dumps(view))) == {(DID, "nils.example")}


@pytest.mark.parametrize(
    "view",
    [
        {"post": {**POST, "record": LIE | {"author": LIE, "embed": {"record": {"author": LIE}}}}},
        {"post": {**POST, "embed": {"images": [{"aspectRatio": {"author": LIE}}]}}},
        {"post": {**POST, "threadgate": {**POST, "record": {"author": LIE}}}},
        {"post": {**POST, "embed": {"record": {**POST, "value": {"author": LIE}}}}},
        {"uri": "at://x", "cid": "b", "value": {"subject": LIE}, **LIE},
        {"author": {"did": "nobody", "handle": "lie.example"}},
        {"author": {"did": DID, "handle": "lie"}},
        {"author": [LIE], "by": 5},
        [LIE],
    ],
)
def test_what_people_write_says_nothing_of_others(view: Any) -> None:
    assert list(served_names(json.dumps(view))) == []


def test_what_cannot_be_read_says_nothing() -> None:
    assert [list(served_names(raw)) for raw in ("", "{", '{"post":' * 9_000)] == [[], [], []]


def test_no_view_is_too_deep_to_be_read_or_to_be_left_alone() -> None:
    for depth in (1, 400, *range(800, 1000, 5)):
        found = list(served_names('{"parent":' * depth + json.dumps({"author": NILS}) + "}" * depth))
        assert found == [(DID, "nils.example")] or (found == [] and depth > 400)


def test_a_record_that_lies_makes_nobody_else_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    post = {**POST, "author": {"did": OTHER, "handle": "mara.example"}, "record": {"x": LIE, "y": {"author": LIE}}}
    shown = {"post": post, "reply": {"parent": {**POST, "author": NILS}}}
    seen = {"member_did": OTHER, "observed_at": microseconds(NOW)}
    rows = [feed_item_row(msgspec.Raw(msgspec.json.encode(item)), NOW) | seen for item in ({"post": post}, shown)]
    folder = tmp_path / "raw" / AUTHOR_FEED.name
    folder.mkdir(parents=True)
    pq.write_table(arrow_table(AUTHOR_FEED, rows), folder / "1.parquet")
    lake = SimpleNamespace(fs_client=fsspec.filesystem("file"), dataset_path=str(folder.parent))
    monkeypatch.setattr(forget_tables, "filesystem_client", lambda _: lake)
    settings = SimpleNamespace(memory_limit="1GB", configure=lambda _: None, lake_path=str(folder.parent))
    files = LakeFiles(None, settings)  # type: ignore[arg-type]
    assert files.handles_of(DID) == ({"nils.example"}, set())
    assert files.did_of("lie.example") is None
    assert files.did_of("nils.example") == DID
    settings.lake_path = str(tmp_path / "elsewhere")
    with pytest.raises(LakeError, match=f"DuckDB misses some in {settings.lake_path}"):
        files.handles_of(DID)
