"""The sample world's Jetstream: versions 2 and 1 of its protocol, as their specifications have it.

Lexicon network.bsky.jetstream.subscribeEvents and https://github.com/bluesky-social/jetstream/tree/main/docs.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
import zstandard
from aiohttp import web

from pipelines.sample.streams.server import StreamRefusal, StreamServer, Subscription

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pipelines.sample.streams.events import StreamEvent

DICTIONARY_ID: Final = 20_260_811
_DICTIONARY_BYTES: Final = 16_384
_FIRST_TIME_CURSOR: Final = 10**15
_MOST_DIDS: Final = 10_000
_MOST_COLLECTIONS: Final = 100
_V2: Final = "/xrpc/network.bsky.jetstream."


class SampleJetstream(StreamServer):
    """A Jetstream over a log of events.

    Attributes:
        oldest: Index into the log of the oldest event that is still kept.
        dictionary_id: The dictionary that is current; others are refused. None: nothing is compressed.
    """

    subprotocols = ("xrpc.v1.json",)

    def __init__(self, events: Iterable[StreamEvent] = (), *, port: int = 0) -> None:
        super().__init__(events, port=port)
        self.oldest = 0
        self.dictionary_id: int | None = DICTIONARY_ID

    def subscribe(self, path: str, params: Mapping[str, list[str]]) -> Subscription:
        """Answer `subscribeEvents`, or `/subscribe` of version 1."""
        if path == f"{_V2}subscribeEvents":
            return self._subscribe_v2(params)
        if path == "/subscribe":
            return self._subscribe_v1(params)
        raise StreamRefusal(404, "MethodNotImplemented", path)

    def error_frame(self, error: str, message: str) -> bytes:
        """Write an error frame of version 2."""
        return msgspec.json.encode({"$type": "error", "error": error, "message": message})

    def serve(self, request: web.BaseRequest) -> web.Response | None:
        """Serve the dictionary."""
        if request.path != f"{_V2}getZstdDictionary" or self.dictionary_id is None:
            return None
        return web.Response(body=dictionary(self.dictionary_id), content_type="application/octet-stream")

    def _subscribe_v2(self, params: Mapping[str, list[str]]) -> Subscription:
        unknown = params.keys() - {
            "kinds",
            "dids",
            "collections",
            "cursor",
            "maxMessageSizeBytes",
            "zstdDictionary",
        }
        if unknown:
            raise StreamRefusal(400, "InvalidRequest", f"unknown parameter {sorted(unknown)[0]}")
        dids, collections = params.get("dids", []), params.get("collections", [])
        if len(dids) > _MOST_DIDS or len(collections) > _MOST_COLLECTIONS:
            raise StreamRefusal(400, "InvalidRequest", "too many dids or collections")
        kinds = params.get("kinds", [])
        write: Callable[[bytes], bytes] = bytes
        if "zstdDictionary" in params:
            if self.dictionary_id is None or params["zstdDictionary"] != [str(self.dictionary_id)]:
                raise StreamRefusal(400, "UnknownZstdDictionary", f"the current dictionary is {self.dictionary_id}")
            write = zstandard.ZstdCompressor(
                level=1, dict_data=zstandard.ZstdCompressionDict(dictionary(self.dictionary_id))
            ).compress
        start, greeting = self._start_v2(int(params["cursor"][0]) if "cursor" in params else None)
        wants = _filter(dids, collections, kinds)
        return Subscription(start, wants, lambda event: write(event.jetstream_v2), tuple(map(write, greeting)))

    def _start_v2(self, cursor: int | None) -> tuple[int, tuple[bytes, ...]]:
        if cursor is None or not self.log or (cursor < _FIRST_TIME_CURSOR and cursor > self.log[-1].seq):
            return len(self.log), ()
        if cursor < _FIRST_TIME_CURSOR:
            if 0 < cursor < self.log[self.oldest].seq:
                raise StreamRefusal(400, "CursorTooOld", f"the oldest event is {self.log[self.oldest].seq}")
            return max(self.oldest, bisect_left(self.log, cursor, key=lambda event: event.seq)), ()
        start = bisect_left(self.log, cursor, key=lambda event: event.time_us)
        if start >= self.oldest:
            return start, ()
        info = {"$type": f"{_V2[6:]}subscribeEvents#info", "name": "OutdatedCursor"}
        return self.oldest, (msgspec.json.encode({"$type": "message", "payload": info}),)

    def _subscribe_v1(self, params: Mapping[str, list[str]]) -> Subscription:
        start = len(self.log)
        if "cursor" in params:
            found = bisect_left(self.log, int(params["cursor"][0]), key=lambda event: event.time_us)
            start = max(self.oldest, found)
        wants = _filter(params.get("wantedDids", []), params.get("wantedCollections", []), [])
        return Subscription(start, wants, lambda event: event.jetstream_v1)


def _filter(dids: list[str], collections: list[str], kinds: list[str]) -> Callable[[StreamEvent], bool]:
    """Decide by DID and kind; by collection for commits only."""
    people = frozenset(dids)
    prefixes = tuple(name[:-1] for name in collections if name.endswith(".*"))
    exact = frozenset(collections)

    def wants(event: StreamEvent) -> bool:
        if (people and event.did not in people) or (kinds and event.kind not in kinds):
            return False
        name = event.collection
        return name is None or not exact or name in exact or (bool(prefixes) and name.startswith(prefixes))

    return wants


@lru_cache(maxsize=4)
def dictionary(dictionary_id: int) -> bytes:
    """Make a dictionary; the same for the same number."""
    samples: list[bytes | bytearray | memoryview[int]] = [
        msgspec.json.encode(
            {
                "$type": "message",
                "payload": {
                    "$type": "network.bsky.jetstream.subscribeEvents#commit",
                    "seq": number * 7919,
                    "did": f"did:plc:{number * 104_729:024d}",
                    "time": f"2026-03-{number % 28 + 1:02d}T12:{number % 60:02d}:00.{number:06d}Z",
                    "operation": ("create", "update", "delete")[number % 3],
                    "collection": "app.bsky.feed.post",
                    "record": {
                        "$type": "app.bsky.feed.post",
                        "text": " ".join(("data", "pipelines", "ducks", "marts")[number % 4 :]) * (number % 5),
                        "createdAt": f"2026-03-02T12:00:00.{number % 1000:03d}Z",
                        "langs": ["en"],
                        "facets": [{"features": [{"$type": "app.bsky.richtext.facet#tag", "tag": f"t{number}"}]}],
                    },
                },
            }
        )
        for number in range(2_000)
    ]
    return zstandard.train_dictionary(_DICTIONARY_BYTES, samples, dict_id=dictionary_id).as_bytes()
