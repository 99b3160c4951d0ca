"""Whatever a host sends as a frame, it is an event, a notice, an error frame, or kept as unreadable."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import libipld
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.events.bookmark import Unwanted
from pipelines.events.event_json import StreamError, read_frame, read_json_event, read_legacy_event
from pipelines.events.firehose import Firehose
from pipelines.events.repo_event import RepoEvent
from pipelines.lake.tables import REPO_EVENTS
from pipelines.network.lexicon import LARGEST_COUNT
from pipelines.sources.repo_events import event_row
from pipelines.sources.rows import arrow_table, microseconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipelines.events.event_json import StreamInfo

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SEEN = {"feed": "firehose", "service": "x", "observed_at": microseconds(NOW)}
DID = "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa"
LAST = 7

COMMIT = {
    "seq": 11,
    "repo": DID,
    "did": DID,
    "rev": "3lbaaaaaaaa2a",
    "time": "2026-03-02T11:00:00Z",
    "ops": [{"action": "delete", "path": "app.bsky.feed.post/3k", "cid": None}],
    "blocks": b"",
    "active": False,
    "status": "deactivated",
    "handle": "a.example",
}
JSON_COMMIT: dict[str, Any] = {
    "$type": "x#commit",
    "seq": 11,
    "time_us": 1_700_000_000_000_000,
    "did": DID,
    "rev": "3lbaaaaaaaa2a",
    "operation": "create",
    "collection": "app.bsky.feed.post",
    "rkey": "3k",
    "record": {"text": "x"},
}

odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([2**53 - 1, 2**53, -1]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2099-01-01T00:00:00Z"]),
    st.lists(st.integers(0, 3), max_size=3),
    st.just({"$link": 5}),
)
kinds = st.sampled_from(["commit", "identity", "account", "sync", "info", "unknown"])


def rows_of(items: Iterable[RepoEvent | Unwanted | StreamInfo | None]) -> list[dict[str, Any]]:
    """Bring events as far as the lake, and look at their numbers on the way."""
    events = []
    for item in items:
        if isinstance(item, RepoEvent | Unwanted):
            assert type(item.position) is int
            assert 0 <= item.position <= LARGEST_COUNT
        if isinstance(item, RepoEvent):
            events.append(item)
    rows: list[dict[str, Any]] = arrow_table(REPO_EVENTS, [event_row(event, SEEN) for event in events]).to_pylist()
    return rows


def cbor_frame(kind: str, body: dict[str, Any]) -> bytes:
    return bytes(libipld.encode_dag_cbor({"op": 1, "t": f"#{kind}"}) + libipld.encode_dag_cbor(body))


@pytest.mark.parametrize("number", ["1e400", "1e3", "1.5", "true", '"5"', "-1", str(2**53), "9" * 5_000])
def test_a_number_that_is_none_moves_a_stream_nowhere(number: str) -> None:
    payload = msgspec.json.encode(JSON_COMMIT).decode().replace('"seq":11', f'"seq":{number}')
    [row] = rows_of([read_frame(f'{{"payload":{payload}}}'.encode(), LAST)])
    assert (row["kind"], row["position"]) == ("unreadable", LAST)


@pytest.mark.parametrize("number", [True, 1.5, "5", -1, 2**53, None, [1]])
def test_a_number_that_is_none_moves_the_firehose_nowhere(number: object) -> None:
    [row] = rows_of(Firehose("wss://x.example", dids=None)._read(cbor_frame("account", COMMIT | {"seq": number}), LAST))
    assert (row["kind"], row["position"]) == ("unreadable", LAST)


@given(kind=kinds, key=st.sampled_from([*COMMIT, "body"]), value=odd, dids=st.sampled_from([None, (DID,)]))
def test_no_value_in_a_frame_of_the_firehose_stops_the_stream(
    kind: str, key: str, value: object, dids: tuple[str] | None
) -> None:
    body = {**COMMIT, key: value}
    rows_of(Firehose("wss://x.example", dids=dids)._read(cbor_frame(kind, body), LAST))
    if isinstance(value, dict | str):
        op = {"action": value, "path": value, "cid": value}
        rows_of(Firehose("wss://x.example", dids=dids)._read(cbor_frame(kind, COMMIT | {"ops": [op]}), LAST))


@given(frame=st.binary(max_size=200))
def test_no_bytes_stop_a_stream(frame: bytes) -> None:
    for read in (Firehose("wss://x.example", dids=None)._read, _jetstream, _legacy):
        with suppress(StreamError):
            rows_of(read(frame, LAST))


@given(kind=kinds, key=st.sampled_from([*JSON_COMMIT, "time", "commit", "account", "identity"]), value=odd)
def test_no_value_in_a_json_frame_stops_a_stream(kind: str, key: str, value: object) -> None:
    event = JSON_COMMIT | {"$type": f"x#{kind}", key: value}
    wrapped = msgspec.json.encode({"payload": event})
    plain = msgspec.json.encode({**event, "kind": kind, "commit": event})
    rows_of([*_jetstream(wrapped, LAST), *_legacy(plain, LAST), read_json_event(plain, LAST)])


@pytest.mark.parametrize("depth", [99, 2_000, 1_000_000])
def test_no_depth_stops_a_stream(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    frame = b'{"payload":' + msgspec.json.encode(JSON_COMMIT).replace(b'{"text":"x"}', deep) + b"}"
    assert len(rows_of(_jetstream(frame, LAST))) == 1
    cbor = b"\xa2abop" + b"\x81" * depth + b"\x01"
    assert len(rows_of(Firehose("wss://x.example", dids=None)._read(cbor, LAST))) == 1


def test_a_record_of_wrong_values_takes_time_that_grows_with_its_size() -> None:
    record = msgspec.json.encode({"text": "x", "langs": list(range(200_000)), "tags": list(range(200_000))})
    begun = time.process_time()
    [row] = rows_of([RepoEvent("commit", 1, DID, NOW, "3k", "create", "app.bsky.feed.post", "3k", record=record)])
    assert (row["text"], row["langs"], row["tags"]) == ("x", None, None)
    assert len(row["issues"]) < 200
    assert time.process_time() - begun < 5


def _jetstream(frame: bytes, last_position: int) -> list[RepoEvent | StreamInfo | None]:
    return [read_frame(frame, last_position)]


def _legacy(frame: bytes, last_position: int) -> list[RepoEvent | StreamInfo | None]:
    return [read_legacy_event(frame, last_position)]
