"""Jetstream: the network's events as JSON, filtered by the service. Versions 2 and 1 of its protocol.

Version 2: lexicon network.bsky.jetstream.subscribeEvents, https://github.com/bluesky-social/jetstream/tree/main/docs.
Its cursor is a sequence number of that one host, and inclusive. Version 1 (`/subscribe`) has microseconds for a cursor.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import urllib3
import zstandard
from websockets.typing import Subprotocol

from pipelines.events.event_json import StreamError, StreamInfo, read_frame, read_legacy_event
from pipelines.events.stream import (
    CURSOR_TOO_OLD,
    LARGEST_FRAME,
    LARGEST_SKEW,
    NUMBERED_ANEW,
    Refused,
    Stream,
    Unwanted,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pipelines.events.repo_event import RepoEvent

MOST_DIDS: Final = 10_000
"""What a subscription may name; beyond that everything is taken, and sorted out here."""

LEGACY_RETENTION: Final = timedelta(hours=24)
"""How far back a host of version 1 goes; it does not say so when a cursor is older."""

_OLDEST: Final = 10**15
"""From here on, version 2 takes a cursor for microseconds since 1970, and begins with the oldest event that it has."""

_DICTIONARY_TIMEOUT: Final = 15.0


class Jetstream(Stream):
    """A subscription to Jetstream v2.

    Args:
        service: Base URL, e.g. `wss://jetstream.us-east.bsky.network`.
        dids: Whose events; None for everybody's.
        collections: Which types of records, exact or `app.bsky.feed.*`; empty for all. Events that are no commits come
            whatever this says.
    """

    name = "jetstream"
    subprotocols: tuple[Subprotocol, ...] = (Subprotocol("xrpc.v1.json"),)

    def __init__(
        self,
        service: str,
        *,
        dids: Collection[str] | None,
        collections: Sequence[str] = (),
        stall_seconds: float = 60.0,
        contact: str | None = None,
    ) -> None:
        super().__init__(service, stall_seconds=stall_seconds, contact=contact)
        self._dids = None if dids is None else frozenset(dids)
        self._collections = tuple(collections)
        self._names_dids = self._dids is not None and len(self._dids) <= MOST_DIDS
        self._dictionary_id: int | None = None
        self._rejected_dictionary: int | None = None
        self._wants_dictionary = True
        self._decompressor: zstandard.ZstdDecompressor | None = None

    def follow(self, dids: Collection[str]) -> None:
        """Change whose events are asked for. The stream goes on where it is: their past is left to a pull."""
        if self._dids is None or self._dids == frozenset(dids):
            return
        self._dids = frozenset(dids)
        self._names_dids = len(self._dids) <= MOST_DIDS
        self.reconnect()

    def _url(self) -> str:
        query: list[tuple[str, str | int]] = [("collections", collection) for collection in self._collections]
        if self._names_dids and self._dids:
            query += [("dids", did) for did in sorted(self._dids)]
        if self._is_cursor_refused:
            query.append(("cursor", _OLDEST))
        elif self._resume_at is not None:
            query.append(("cursor", self._resume_at))
        elif self._read_until is not None:
            # A time instead of a number, on another host. Two hosts see the same event at different times.
            query.append(("cursor", max(_OLDEST, _microseconds(self._read_until - LARGEST_SKEW))))
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
        dictionary = _fetch_dictionary(self.base_url, self._user_agent)
        if dictionary is not None and dictionary.dict_id() not in (0, self._rejected_dictionary):
            self._dictionary_id = dictionary.dict_id()
            self._decompressor = zstandard.ZstdDecompressor(dict_data=dictionary)

    def _read(self, frame: bytes) -> Iterable[RepoEvent | StreamInfo]:
        # A frame that is not compressed begins with a brace, a compressed one with zstd's magic number.
        if self._decompressor is not None and not frame.startswith(b"{"):
            try:
                frame = self._decompressor.decompress(frame, max_output_size=LARGEST_FRAME)
            except zstandard.ZstdError as error:
                self._dictionary_id, self._decompressor = None, None
                raise StreamError("compression is given up", str(error)) from error
        event = self._decode(frame)
        if event is None:
            return ()
        if isinstance(event, StreamInfo) or self._dids is None or event.did is None or event.did in self._dids:
            return (event,)
        return ()

    def _decode(self, frame: bytes) -> RepoEvent | StreamInfo | None:
        return read_frame(frame, self.cursor or 0)

    def _is_recoverable(self, refusal: Refused) -> bool:
        match refusal.error:
            case "CursorTooOld":
                self._gap_reason, self._is_cursor_refused = CURSOR_TOO_OLD, True
                return True
            case "UnknownZstdDictionary":
                self._rejected_dictionary, self._wants_dictionary = self._dictionary_id, True
                return True
        if self._names_dids and refusal.status in (
            HTTPStatus.REQUEST_URI_TOO_LONG,
            HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        ):
            self._names_dids = False
            return True
        return refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR or refusal.status in (
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.TOO_MANY_REQUESTS,
        )

    def _is_numbered_anew(self, first: RepoEvent | Unwanted, asked_for: int) -> bool:
        # Another machine may answer to the host's name, and another event may have the number.
        is_another = first.position == self.cursor and self._cursor_at not in (None, first.event_at)
        return super()._is_numbered_anew(first, asked_for) or (is_another and not self.cursor_overlap)

    def _adapt(self, error: StreamError) -> None:
        # After `ConsumerTooSlow` and the like, the stream goes on at the cursor.
        if error.error == NUMBERED_ANEW:
            self.cursor = None


class LegacyJetstream(Jetstream):
    """A subscription to Jetstream v1, for hosts that serve nothing newer."""

    subprotocols = ()
    cursor_overlap = 5_000_000  # Microseconds.

    def __init__(
        self,
        service: str,
        *,
        dids: Collection[str] | None,
        collections: Sequence[str] = (),
        stall_seconds: float = 60.0,
        contact: str | None = None,
    ) -> None:
        super().__init__(service, dids=dids, collections=collections, stall_seconds=stall_seconds, contact=contact)
        # Positions of the two versions are not the same numbers, though the host may be the same.
        self.service = f"{self.service}/subscribe"
        self._wants_dictionary = False

    def _url(self) -> str:
        query: list[tuple[str, str | int]] = [("wantedCollections", collection) for collection in self._collections]
        if self._names_dids and self._dids:
            query += [("wantedDids", did) for did in sorted(self._dids)]
        if self._resume_at is not None:
            query.append(("cursor", self._resume_at - self.cursor_overlap))
        elif self._read_until is not None:
            query.append(("cursor", _microseconds(self._read_until - LARGEST_SKEW)))
        return f"{self.base_url}/subscribe?{urlencode(query)}"

    def _decode(self, frame: bytes) -> RepoEvent | StreamInfo | None:
        return read_legacy_event(frame, self.cursor or 0)

    def _notice_gap(self, first: RepoEvent | Unwanted) -> None:
        # The host takes any cursor, and begins with what it has.
        last = self._read_until
        is_old = last is not None and datetime.now(UTC) - last > LEGACY_RETENTION
        if self._gap_reason is None and is_old and first.event_at and last and first.event_at > last:
            self._gap_reason = CURSOR_TOO_OLD
        super()._notice_gap(first)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _microseconds(time: datetime) -> int:
    return (time - _EPOCH) // timedelta(microseconds=1)


def _fetch_dictionary(service: str, user_agent: str) -> zstandard.ZstdCompressionDict | None:
    url = service.replace("ws", "http", 1) + "/xrpc/network.bsky.jetstream.getZstdDictionary"
    try:
        answer = urllib3.request(
            "GET", url, headers={"User-Agent": user_agent}, timeout=_DICTIONARY_TIMEOUT, retries=False
        )
        if answer.status != HTTPStatus.OK:
            return None
        return zstandard.ZstdCompressionDict(answer.data)
    except (urllib3.exceptions.HTTPError, zstandard.ZstdError):
        return None
