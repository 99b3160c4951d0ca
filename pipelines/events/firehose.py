"""The firehose itself: com.atproto.sync.subscribeRepos of a relay or a PDS, with no intermediary.

Frames are DAG-CBOR, and the records of a commit are blocks of a CAR file (https://atproto.com/specs/event-stream,
https://atproto.com/specs/sync). They are decoded with the decoder that the `atproto` SDK uses, without its models, and
only where a commit holds something that is wanted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Unpack
from urllib.parse import urlencode

import libipld
import msgspec

from pipelines.events.bookmark import Edge, Numbering, Unwanted
from pipelines.events.event_json import StreamError, StreamInfo, is_number
from pipelines.events.repo_event import ACCOUNT, COMMIT, IDENTITY, SYNC, RepoEvent, time_of_rev, unreadable
from pipelines.events.stream import Answer, Stream
from pipelines.network.lexicon import parse_datetime

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pipelines.events.bookmark import Start
    from pipelines.events.stream import StreamOptions

_CID_PREFIXES: Final = (b"\x01\x71\x12\x20", b"\x01\x55\x12\x20")
_CID_BYTES: Final = 36
_encode: Final = msgspec.json.Encoder().encode


class Firehose(Stream):
    """A subscription to everybody's events; what is wanted is sorted out here.

    Args:
        service: Base URL of a relay or a PDS, e.g. `wss://relay1.us-east.bsky.network`.
        dids: Whose events are wanted; None for everybody's.
        collections: Which types of records, exact or `app.bsky.feed.*`; empty for all.
        options: How it is read.
    """

    name = "firehose"
    numbering = Numbering(takes_times=False)

    def __init__(
        self,
        service: str,
        *,
        dids: Collection[str] | None,
        collections: Sequence[str] = (),
        **options: Unpack[StreamOptions],
    ) -> None:
        super().__init__(service, **options)
        self._dids = None if dids is None else frozenset(dids)
        self._exact = frozenset(name for name in collections if not name.endswith(".*"))
        self._prefixes = tuple(name[:-1] for name in collections if name.endswith(".*"))
        self._wants_all_collections = not collections

    def follow(self, dids: Collection[str]) -> None:
        """Change whose events are wanted."""
        if self._dids is not None:
            self._dids = frozenset(dids)

    def _url(self, start: Start) -> str:
        query = {}
        if start is Edge.OLDEST:
            query["cursor"] = 0
        elif isinstance(start, int):
            # A relay begins after its cursor. The commit there may have been taken in part.
            query["cursor"] = max(0, start - 1)
        return f"{self.base_url}/xrpc/com.atproto.sync.subscribeRepos?{urlencode(query)}"

    def _read(self, frame: bytes, last_position: int) -> Iterable[RepoEvent | Unwanted | StreamInfo]:
        try:
            header, body = libipld.decode_dag_cbor_multi(frame)
            if not is_number(body.get("seq", 0)):
                raise ValueError("its number is none, or out of range")
            if header.get("op") == -1:
                raise StreamError(str(body.get("error")), body.get("message"))
            match header.get("t"):
                case "#commit":
                    return self._read_commit(body)
                case "#identity" | "#account" | "#sync" as kind:
                    return self._read_change(kind[1:], body)
                case "#info":
                    return (StreamInfo(str(body.get("name")), body.get("message")),)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            return (unreadable(frame.hex().encode(), last_position, f"{type(error).__name__}: {error}"),)
        return ()

    def _read_commit(self, body: dict[str, Any]) -> Sequence[RepoEvent | Unwanted]:
        did, rev, seq = _text(body["repo"]), _text(body["rev"]), body["seq"]
        at = parse_datetime(body["time"]) or time_of_rev(rev)
        if self._dids is not None and did not in self._dids:
            return (Unwanted(seq, at),)
        wanted = [op for op in body["ops"] if self._wants(op["path"])]
        if not wanted:
            return (Unwanted(seq, at),)
        blocks: dict[bytes, Any] = {}
        if body["blocks"] and any(op.get("cid") for op in wanted):
            blocks = libipld.decode_car(body["blocks"])[1]
        events = []
        for op in wanted:
            collection, _, rkey = op["path"].partition("/")
            cid = op.get("cid")
            event = RepoEvent(COMMIT, seq, did, at, rev, _text(op["action"]), collection, rkey)
            if cid is not None:
                event.cid = libipld.encode_multibase("b", cid)
                block = blocks.get(cid)
                if block is None:
                    event.issue = "$: the commit came without this record"
                else:
                    event.record = _encode(to_json(block))
            events.append(event)
        return events

    def _read_change(self, kind: str, body: dict[str, Any]) -> Sequence[RepoEvent | Unwanted]:
        did, seq, at = _text(body["did"]), body["seq"], parse_datetime(body["time"])
        if self._dids is not None and did not in self._dids:
            return (Unwanted(seq, at),)
        body.pop("blocks", None)
        event = RepoEvent(kind, seq, did, at, raw=_encode(to_json(body)))
        match kind:
            case value if value == IDENTITY:
                event.handle = _text_or_none(body.get("handle"))
            case value if value == ACCOUNT:
                event.is_active = body["active"] is True
                event.status = None if event.is_active else _text_or_none(body.get("status"))
            case value if value == SYNC:
                event.rev = _text_or_none(body.get("rev"))
        return [event]

    def _wants(self, path: str) -> bool:
        collection = path.partition("/")[0]
        return self._wants_all_collections or collection in self._exact or collection.startswith(self._prefixes)

    def _after_error(self, error: StreamError) -> Answer:
        return Answer.NUMBERED_ANEW if error.error == "FutureCursor" else super()._after_error(error)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is {type(value).__name__}")
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)


def to_json(value: Any) -> Any:
    """Write what was decoded from CBOR in the data model's JSON (https://atproto.com/specs/data-model).

    The decoder gives links as their bytes; a byte string that looks like a link is taken for one.
    """
    if isinstance(value, dict):
        # Most of what a record holds is text.
        return {key: element if isinstance(element, str) else to_json(element) for key, element in value.items()}
    if isinstance(value, list):
        return [to_json(element) for element in value]
    if not isinstance(value, bytes):
        return value
    if len(value) == _CID_BYTES and value.startswith(_CID_PREFIXES):
        return {"$link": libipld.encode_multibase("b", value)}
    return {"$bytes": msgspec.json.decode(_encode(value)).rstrip("=")}
