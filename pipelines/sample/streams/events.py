"""The sample world's events in the forms in which they travel: Jetstream's two, Tap's, and the firehose's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import libipld
import msgspec

from pipelines.sample.world.blocks import LINK_PREFIX, cid_to_bytes, in_cbor
from pipelines.sample.world.ids import microseconds
from pipelines.sample.world.records import record
from pipelines.sample.world.truth import ACTIVE, AccountEvent, IdentityEvent, RecordEvent

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pipelines.sample.world.truth import Event

    Json = dict[str, Any]

_encode: Final = msgspec.json.Encoder().encode
_V2: Final = "network.bsky.jetstream.subscribeEvents"


@dataclass(frozen=True)
class StreamEvent:
    """An event of the world with its number in a stream."""

    seq: int
    event: Event

    @property
    def did(self) -> str:
        """Whose event."""
        return self.event.did

    @property
    def kind(self) -> str:
        """`commit`, `identity` or `account`."""
        match self.event:
            case RecordEvent():
                return "commit"
            case IdentityEvent():
                return "identity"
        return "account"

    @property
    def collection(self) -> str | None:
        """Type of the record; None if it is no commit."""
        return self.event.collection if isinstance(self.event, RecordEvent) else None

    @property
    def time_us(self) -> int:
        """When it happened, in microseconds since 1970."""
        return microseconds(self.event.at)

    @cached_property
    def jetstream_v2(self) -> bytes:
        """A frame of `xrpc.v1.json`."""
        payload: Json = {
            "$type": f"{_V2}#{self.kind}",
            "seq": self.seq,
            "did": self.did,
            "time": rfc3339(self.event.at),
        }
        if isinstance(self.event, RecordEvent):
            payload |= {"rev": self.event.rev} | _commit(self.event)
        else:
            payload[self.kind] = self._change()
        return _encode({"$type": "message", "payload": payload})

    @cached_property
    def jetstream_v1(self) -> bytes:
        """A frame of the older Jetstream."""
        frame: Json = {"did": self.did, "time_us": self.time_us, "kind": self.kind}
        if isinstance(self.event, RecordEvent):
            frame["commit"] = {"rev": self.event.rev} | _commit(self.event)
        else:
            frame[self.kind] = self._change()
        return _encode(frame)

    @property
    def jetstream_v2_payload(self) -> bytes:
        """What is within a frame of `xrpc.v1.json`: an event as plain JSON."""
        payload: msgspec.Raw = msgspec.json.decode(self.jetstream_v2, type=dict[str, msgspec.Raw])["payload"]
        return bytes(payload)

    @property
    def tap_record(self) -> bytes:
        """The body of Tap's webhook for a commit."""
        assert isinstance(self.event, RecordEvent)
        commit = _commit(self.event)
        commit["action"] = commit.pop("operation")
        fields = {"live": True, "did": self.did, "rev": self.event.rev} | commit
        return _encode({"id": self.seq, "type": "record", "record": fields})

    def tap_identity(self, handle: str, status: str) -> bytes:
        """The body of Tap's webhook for an account that has this handle and status now."""
        fields = {"did": self.did, "handle": handle, "is_active": status == ACTIVE, "status": status}
        return _encode({"id": self.seq, "type": "identity", "identity": fields})

    @cached_property
    def firehose(self) -> bytes:
        """A frame of com.atproto.sync.subscribeRepos: two DAG-CBOR objects, the records in a CAR file."""
        if not isinstance(self.event, RecordEvent):
            return cbor_frame(f"#{self.kind}", self._change())
        event = self.event
        path = f"{event.collection}/{event.rkey}"
        root = _cid_bytes(f"commit {event.did} {event.rev}")
        blocks = [(root, {"did": event.did, "rev": event.rev, "version": 3})]
        if event.record is not None and event.cid is not None:
            blocks.append((cid_to_bytes(event.cid), in_cbor(record(event.record))))
        return cbor_frame(
            "#commit",
            {
                "seq": self.seq,
                "rebase": False,
                "tooBig": False,
                "repo": event.did,
                "commit": root,
                "rev": event.rev,
                "since": None,
                "blocks": car_file(root, blocks),
                "ops": [
                    {"action": event.operation, "path": path, "cid": event.cid and cid_to_bytes(event.cid)},
                ],
                "blobs": [],
                "time": rfc3339(event.at),
            },
        )

    def _change(self) -> Json:
        """Write an identity or account event as the relay does."""
        change: Json = {"did": self.did, "seq": self.seq, "time": rfc3339(self.event.at)}
        match self.event:
            case IdentityEvent(handle=handle):
                change["handle"] = handle
            case AccountEvent(status=status):
                change["active"] = status == ACTIVE
                if status != ACTIVE:
                    change["status"] = status
        return change


def _commit(event: RecordEvent) -> Json:
    commit: Json = {"operation": event.operation, "collection": event.collection, "rkey": event.rkey}
    if event.record is not None:
        commit |= {"cid": event.cid, "record": record(event.record)}
    return commit


def rfc3339(at: datetime) -> str:
    """Write a time with microseconds, as relays and Jetstream do."""
    return at.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def cbor_frame(kind: str, body: Json) -> bytes:
    """Write a frame of the firehose."""
    return libipld.encode_dag_cbor({"op": 1, "t": kind}) + libipld.encode_dag_cbor(body)


def cbor_error(error: str, message: str) -> bytes:
    """Write an error frame of the firehose."""
    return libipld.encode_dag_cbor({"op": -1}) + libipld.encode_dag_cbor({"error": error, "message": message})


def car_file(root: bytes, blocks: Iterable[tuple[bytes, Json]]) -> bytes:
    """Write a CAR file (https://ipld.io/specs/transport/car/carv1/)."""
    parts = [libipld.encode_dag_cbor({"version": 1, "roots": [root]})]
    parts += [cid + libipld.encode_dag_cbor(block) for cid, block in blocks]
    return b"".join(_varint(len(part)) + part for part in parts)


def _cid_bytes(name: str) -> bytes:
    return LINK_PREFIX + (name.encode() * 32)[:32]


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
