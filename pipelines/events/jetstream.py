"""Jetstream: the network's events as JSON, filtered by the service. Versions 2 and 1 of its protocol.

Version 2: lexicon network.bsky.jetstream.subscribeEvents, https://github.com/bluesky-social/jetstream/tree/main/docs.
Its cursor is a sequence number of that one host, and inclusive. Version 1 (`/subscribe`) has microseconds for a cursor.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Unpack
from urllib.parse import urlencode

import zstandard
from urllib3.exceptions import HTTPError
from websockets.typing import Subprotocol

from pipelines.events.bookmark import Edge, Numbering
from pipelines.events.event_json import StreamError, StreamInfo, read_frame, read_legacy_event
from pipelines.events.repo_event import EPOCH
from pipelines.events.stream import LARGEST_FRAME, Answer, Stream
from pipelines.network.connections import Connections, ProxyUnusable
from pipelines.network.exchange import Exchange

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pipelines.events.bookmark import Start
    from pipelines.events.repo_event import RepoEvent
    from pipelines.events.stream import Refused, StreamOptions

MOST_DIDS: Final = 10_000
"""What a subscription may name; beyond that everything is taken, and sorted out here."""

LEGACY_RETENTION: Final = timedelta(hours=24)
"""How far back a host of version 1 goes; it does not say so when a cursor is older."""

_LEGACY_OVERLAP: Final = 5_000_000
"""Microseconds before the cursor that are asked for: several events may have the same."""

_OLDEST: Final = 10**15
"""From here on, version 2 takes a cursor for microseconds since 1970, and begins with the oldest event that it has."""

_DICTIONARY_TIMEOUT: Final = 15.0
_LARGEST_DICTIONARY: Final = 16 * 1024 * 1024


class Jetstream(Stream):
    """A subscription to Jetstream v2.

    Args:
        service: Base URL, e.g. `wss://jetstream.us-east.bsky.network`.
        dids: Whose events; None for everybody's.
        collections: Which types of records, exact or `app.bsky.feed.*`; empty for all. Events that are no commits come
            whatever this says.
        options: How it is read.
    """

    name = "jetstream"
    numbering = Numbering(is_unique=True)
    subprotocols: tuple[Subprotocol, ...] = (Subprotocol("xrpc.v1.json"),)
    has_dictionaries = True
    path = ""
    """Stands in the service's name too: positions of the two versions differ, though the host may be the same."""

    def __init__(
        self,
        service: str,
        *,
        dids: Collection[str] | None,
        collections: Sequence[str] = (),
        **options: Unpack[StreamOptions],
    ) -> None:
        super().__init__(service, **options)
        self.service += self.path
        self._dids = None if dids is None else frozenset(dids)
        self._collections = tuple(collections)
        self._names_dids = self._dids is not None and len(self._dids) <= MOST_DIDS
        self._dictionary_id: int | None = None
        self._rejected_dictionary: int | None = None
        self._wants_dictionary = self.has_dictionaries
        self._decompressor: zstandard.ZstdDecompressor | None = None

    def follow(self, dids: Collection[str]) -> None:
        """Change whose events are asked for. The stream goes on where it is: their past is left to a pull."""
        if self._dids is None or self._dids == frozenset(dids):
            return
        self._dids = frozenset(dids)
        self._names_dids = len(self._dids) <= MOST_DIDS
        self.reconnect()

    def _url(self, start: Start) -> str:
        query: list[tuple[str, str | int]] = [("collections", collection) for collection in self._collections]
        if self._names_dids and self._dids:
            query += [("dids", did) for did in sorted(self._dids)]
        match start:
            case int():
                query.append(("cursor", start))
            case datetime():
                query.append(("cursor", max(_OLDEST, _microseconds(start))))
            case Edge.OLDEST:
                query.append(("cursor", _OLDEST))
        query.append(("maxMessageSizeBytes", LARGEST_FRAME))
        if self._dictionary_id is not None:
            query.append(("zstdDictionary", self._dictionary_id))
        return f"{self.base_url}/xrpc/network.bsky.jetstream.subscribeEvents?{urlencode(query)}"

    async def _prepare(self) -> None:
        if not self._wants_dictionary:
            return
        self._wants_dictionary = False
        self._dictionary_id, self._decompressor = None, None
        # Compression saves half of the bytes. Without it everything works as well.
        dictionary = self._fetch_dictionary()
        if dictionary is not None and dictionary.dict_id() not in (0, self._rejected_dictionary):
            self._dictionary_id = dictionary.dict_id()
            self._decompressor = zstandard.ZstdDecompressor(dict_data=dictionary)

    def _fetch_dictionary(self) -> zstandard.ZstdCompressionDict | None:
        url = self.base_url.replace("ws", "http", 1) + "/xrpc/network.bsky.jetstream.getZstdDictionary"
        headers = {"User-Agent": self._user_agent}
        try:
            exchange = Exchange(_DICTIONARY_TIMEOUT, _LARGEST_DICTIONARY)
            answer = Connections().request("GET", url, exchange, headers=headers)
            self._hear(answer.headers)
            return zstandard.ZstdCompressionDict(answer.data) if answer.status == HTTPStatus.OK else None
        except (ProxyUnusable, HTTPError, zstandard.ZstdError):
            return None

    def _read(self, frame: bytes, last_position: int) -> Iterable[RepoEvent | StreamInfo]:
        # A frame that is not compressed begins with a brace, a compressed one with zstd's magic number.
        if self._decompressor is not None and not frame.startswith(b"{"):
            try:
                frame = self._decompressor.decompress(frame, max_output_size=LARGEST_FRAME)
            except zstandard.ZstdError as error:
                self._dictionary_id, self._decompressor = None, None
                raise StreamError("compression is given up", str(error)) from error
        event = self._decode(frame, last_position)
        if event is None:
            return ()
        if isinstance(event, StreamInfo) or self._dids is None or event.did is None or event.did in self._dids:
            return (event,)
        return ()

    def _decode(self, frame: bytes, last_position: int) -> RepoEvent | StreamInfo | None:
        return read_frame(frame, last_position)

    def _after_refusal(self, refusal: Refused) -> Answer:
        match refusal.error:
            case "CursorTooOld":
                return Answer.CURSOR_TOO_OLD
            case "UnknownZstdDictionary":
                self._rejected_dictionary, self._wants_dictionary = self._dictionary_id, True
                return Answer.RETRY
        if self._names_dids and refusal.status in (
            HTTPStatus.REQUEST_URI_TOO_LONG,
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        ):
            self._names_dids = False
            return Answer.RETRY
        return super()._after_refusal(refusal)


class LegacyJetstream(Jetstream):
    """A subscription to Jetstream v1, for hosts that serve nothing newer."""

    subprotocols = ()
    numbering = Numbering(overlap=_LEGACY_OVERLAP, retention=LEGACY_RETENTION)
    has_dictionaries = False
    path = "/subscribe"

    def _url(self, start: Start) -> str:
        query: list[tuple[str, str | int]] = [("wantedCollections", collection) for collection in self._collections]
        if self._names_dids and self._dids:
            query += [("wantedDids", did) for did in sorted(self._dids)]
        match start:
            case int():
                query.append(("cursor", start))
            case datetime():
                query.append(("cursor", _microseconds(start)))
            case Edge.OLDEST:
                query.append(("cursor", 0))
        return f"{self.base_url}{self.path}?{urlencode(query)}"

    def _decode(self, frame: bytes, last_position: int) -> RepoEvent | StreamInfo | None:
        return read_legacy_event(frame, last_position)


def _microseconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)
