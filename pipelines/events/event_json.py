"""The forms of JSON in which repository events travel: Jetstream's, versions 2 and 1, and Tap's."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from pipelines.events.repo_event import (
    ACCOUNT,
    COMMIT,
    EPOCH,
    IDENTITY,
    SYNC,
    UNREADABLE,
    RepoEvent,
    time_of_rev,
    unreadable,
)
from pipelines.network.lexicon import LARGEST_COUNT, Count, parse_datetime


class _Commit(msgspec.Struct, gc=False):
    rev: str | None = None
    operation: str | None = None
    collection: str | None = None
    rkey: str | None = None
    cid: str | None = None
    record: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct, gc=False):
    """The fields of all forms of JSON; which of them are there tells the form."""

    tag: str | None = msgspec.field(default=None, name="$type")
    type: str | None = None
    kind: str | None = None
    seq: Count | None = None
    time_us: Count | None = None
    did: str | None = None
    time: str | None = None
    rev: str | None = None
    operation: str | None = None
    collection: str | None = None
    rkey: str | None = None
    cid: str | None = None
    record: msgspec.Raw = msgspec.Raw()
    commit: _Commit | None = None
    identity: msgspec.Raw = msgspec.Raw()
    account: msgspec.Raw = msgspec.Raw()
    sync: msgspec.Raw = msgspec.Raw()
    name: str | None = None
    message: str | None = None


class _Frame(msgspec.Struct, gc=False):
    """`xrpc.v1.json`: a message or an error."""

    tag: str | None = msgspec.field(default=None, name="$type")
    payload: _Event | None = None
    error: str | None = None
    message: str | None = None


class _Change(msgspec.Struct, gc=False):
    """What identity, account and sync events hold, upstream's and Tap's."""

    did: str | None = None
    time: str | None = None
    handle: str | None = None
    active: bool | None = None
    is_active: bool | None = None
    status: str | None = None
    rev: str | None = None


class _TapRecord(msgspec.Struct, gc=False):
    did: str | None = None
    rev: str | None = None
    collection: str | None = None
    rkey: str | None = None
    action: str | None = None
    cid: str | None = None
    record: msgspec.Raw = msgspec.Raw()


class StreamError(Exception):
    """A stream ended with an error frame.

    Attributes:
        error: Its name, e.g. `ConsumerTooSlow`.
    """

    def __init__(self, error: str, message: str | None) -> None:
        super().__init__(f"{error}: {message}" if message else error)
        self.error = error


@dataclass(frozen=True)
class StreamInfo:
    """A notice within a stream, e.g. `OutdatedCursor`."""

    name: str
    message: str | None


_FARTHEST_AHEAD: Final = 86_400.0
"""Seconds."""

_frame: Final = msgspec.json.Decoder(_Frame)
_event: Final = msgspec.json.Decoder(_Event)
_change: Final = msgspec.json.Decoder(_Change)
_tap_record: Final = msgspec.json.Decoder(_TapRecord)
_INCOMPLETE: Final = "not a repository event, or not all of one"
_NOT_READABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_frame(frame: bytes, last_position: int) -> RepoEvent | StreamInfo | None:
    """Read a frame of Jetstream v2 (lexicon network.bsky.jetstream.subscribeEvents).

    Args:
        frame: The text of the frame.
        last_position: Position of the event before it, for what cannot be read.

    Returns:
        The event, or a notice; None for a kind of frame that is not known.

    Raises:
        StreamError: It is an error frame; the stream ends with it.
    """
    try:
        message = _frame.decode(frame)
        if message.tag == "error":
            raise StreamError(message.error or "unnamed error", message.message)
        payload = message.payload
        if payload is None or payload.tag is None:
            return None
        kind = payload.tag.rpartition("#")[2]
        if kind == "info":
            return StreamInfo(payload.name or "", payload.message)
        if kind not in (COMMIT, IDENTITY, ACCOUNT, SYNC):
            return None
        event = _from_jetstream_v2(payload, kind, last_position if payload.seq is None else payload.seq)
        return event if _is_whole(event) else unreadable(frame, event.position, _INCOMPLETE)
    except _NOT_READABLE as error:
        return unreadable(frame, _position_of(frame, last_position), error)


def read_legacy_event(frame: bytes, last_position: int) -> RepoEvent:
    """Read a frame of Jetstream v1, in which an event's time in microseconds is its position.

    One that is more than a day ahead moves the stream nowhere: it would pass over all that happens until then.
    """
    try:
        legacy = _event.decode(frame)
        position = last_position if legacy.time_us is None or _is_to_come(legacy.time_us) else legacy.time_us
        event = _from_jetstream_v1(legacy, position)
        return event if _is_whole(event) else unreadable(frame, event.position, _INCOMPLETE)
    except _NOT_READABLE as error:
        return unreadable(frame, last_position, error)


def read_json_event(body: bytes, position: int) -> RepoEvent | None:
    """Read an event in any of the forms that are sent around: Tap's, or Jetstream's v2 or v1.

    Args:
        body: JSON text.
        position: Its number where it comes from.

    Returns:
        The event; `unreadable` for JSON that is none. None for what is no JSON at all.
    """
    try:
        written = _event.decode(body)
        if written.tag == "message":
            written = _frame.decode(body).payload or written
        if written.tag and "#" in written.tag:
            event = _from_jetstream_v2(written, written.tag.rpartition("#")[2], position)
        elif written.type in ("record", IDENTITY):
            event = _from_tap(written, position)
        else:
            event = _from_jetstream_v1(written, position)
        return event if _is_whole(event) else unreadable(body, position, _INCOMPLETE)
    except _NOT_READABLE as error:
        return unreadable(body, position, error) if is_json(body) else None


def is_json(body: bytes) -> bool:
    """Tell whether something is JSON."""
    try:
        msgspec.json.decode(body)
    except _NOT_READABLE:
        return False
    return True


def _from_jetstream_v2(event: _Event, kind: str, position: int) -> RepoEvent:
    if kind == COMMIT:
        return RepoEvent(
            COMMIT,
            position,
            event.did,
            parse_datetime(event.time) if event.time else time_of_rev(event.rev),
            event.rev,
            event.operation,
            event.collection,
            event.rkey,
            event.cid,
            _content(event.record),
        )
    raw = {IDENTITY: event.identity, ACCOUNT: event.account}.get(kind, event.sync)
    return _from_change(kind, raw, event, position)


def _from_jetstream_v1(event: _Event, position: int) -> RepoEvent:
    commit = event.commit
    if event.kind == COMMIT and commit is not None:
        return RepoEvent(
            COMMIT,
            position,
            event.did,
            _from_microseconds(event.time_us) or time_of_rev(commit.rev),
            commit.rev,
            commit.operation,
            commit.collection,
            commit.rkey,
            commit.cid,
            _content(commit.record),
        )
    raw = event.identity if event.kind == IDENTITY else event.account
    return _from_change(event.kind or "", raw, event, position)


def _from_change(kind: str, raw: msgspec.Raw, event: _Event, position: int) -> RepoEvent:
    """Read an identity, account or sync event: Jetstream wraps the relay's own."""
    change = _change.decode(raw) if raw else _Change()
    # The relay's time, not the wrapper's, so that every feed tells the same time of the same event.
    time = change.time or event.time
    return RepoEvent(
        kind,
        position,
        event.did or change.did,
        (parse_datetime(time) if time else None) or _from_microseconds(event.time_us),
        change.rev or event.rev,
        handle=change.handle,
        is_active=change.active,
        status=None if change.active else change.status,
        raw=bytes(raw) or None,
    )


def _from_tap(event: _Event, position: int) -> RepoEvent:
    """Read an event of Tap (https://github.com/bluesky-social/indigo/tree/main/cmd/tap)."""
    if event.type == IDENTITY:
        # Sent for a new handle and for a new status alike; Tap tells no time.
        change = _change.decode(event.identity)
        return RepoEvent(
            IDENTITY,
            position,
            change.did,
            handle=change.handle or None,
            is_active=change.is_active,
            status=None if change.is_active else change.status,
            raw=bytes(event.identity),
        )
    record = _tap_record.decode(event.record)
    return RepoEvent(
        COMMIT,
        position,
        record.did,
        time_of_rev(record.rev),
        record.rev,
        record.action,
        record.collection,
        record.rkey,
        record.cid,
        _content(record.record),
    )


def _is_whole(event: RepoEvent) -> bool:
    if event.kind == COMMIT:
        return None not in (event.did, event.rev, event.operation, event.collection, event.rkey)
    return event.kind in (IDENTITY, ACCOUNT, SYNC) and event.did is not None


def _content(raw: msgspec.Raw) -> bytes | None:
    return bytes(raw) or None


def _is_to_come(time_us: int) -> bool:
    return time_us / 1e6 > time.time() + _FARTHEST_AHEAD


def _from_microseconds(time: int | None) -> datetime | None:
    try:
        return None if time is None else EPOCH + timedelta(microseconds=time)
    except OverflowError:
        return None


def _position_of(frame: bytes, otherwise: int) -> int:
    """Find the sequence number of a frame that does not fit: the stream goes on after it."""
    try:
        match msgspec.json.decode(frame):
            case {"payload": {"seq": seq}} if is_number(seq):
                return int(seq)
    except _NOT_READABLE:
        pass
    return otherwise


def is_number(value: object) -> bool:
    """Tell whether something can be the number of an event: a whole one, not negative, of at most 53 bits."""
    return type(value) is int and 0 <= value <= LARGEST_COUNT


def write_json_event(event: RepoEvent) -> bytes:
    """Write an event in the form of Jetstream v2, so that `read_json_event` reads the same event from it."""
    if event.kind == UNREADABLE:
        return event.raw or b"null"
    fields: dict[str, Any] = {
        "$type": f"network.bsky.jetstream.subscribeEvents#{event.kind}",
        "seq": event.position,
        "did": event.did,
        "time": event.event_at and event.event_at.isoformat(),
    }
    if event.kind == COMMIT:
        fields |= {"rev": event.rev, "operation": event.operation, "collection": event.collection, "rkey": event.rkey}
        if event.cid is not None:
            fields["cid"] = event.cid
        if event.record is not None:
            fields["record"] = msgspec.Raw(event.record)
    elif event.raw is not None:
        fields[event.kind] = msgspec.Raw(event.raw)
    return msgspec.json.encode(fields)
