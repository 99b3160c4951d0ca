"""A subscription to a stream of events over a websocket, through whatever happens to the connection.

It reconnects where it left off, with backoff and jitter; notices a connection that has gone silent; stops reading while
nobody takes what it has; and says which stretch of time the service will not deliver any more.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxy, InvalidStatus, InvalidURI
from websockets.frames import CloseCode

from pipelines.events.event_json import StreamError, StreamInfo
from pipelines.events.repo_event import Delivery, Gap, Position, RepoEvent
from pipelines.network.errors import RequestRejected, ServiceUnreachable, one_line
from pipelines.network.headers import user_agent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from websockets.asyncio.client import ClientConnection
    from websockets.typing import Subprotocol

BUFFERED_EVENTS: Final = 50_000
"""Events that may wait to be taken. Beyond that, nothing is read from the socket, and the service has to wait."""

LARGEST_FRAME: Final = 32 * 1024 * 1024
"""Bytes, compressed or not: what Jetstream's own client allows."""

FIRST_ATTEMPTS: Final = 6
"""How often a service is tried that has never answered, before it counts as unreachable: about ten seconds."""

CURSOR_TOO_OLD: Final = "the cursor was too old"
NUMBERED_ANEW: Final = "the service numbers its events anew"

LARGEST_SKEW: Final = timedelta(minutes=1)
"""By how much a service's clock may be ahead of ours, or of another host's, without having jumped."""

SHORTEST_BACKOFF: Final = 0.25
LONGEST_BACKOFF: Final = 30.0
QUIET_SECONDS: Final = 3.0
"""A stream that has been connected and silent for so long may have delivered what it had."""

MOST_PROOFS: Final = 3
"""How often a quiet stream is asked anew: what is known may be none of what is asked for any more."""


class _Rejection(msgspec.Struct):
    error: str = ""
    message: str = ""


class Unwanted(NamedTuple):
    """An event that nobody asked for. It tells how far the stream is.

    Attributes:
        position: As of a `RepoEvent`.
        event_at: As of a `RepoEvent`.
    """

    position: int
    event_at: datetime | None


class _Start(NamedTuple):
    """Where a connection goes on.

    Attributes:
        asked_for: The cursor that was asked for; None if none was.
        known_upto: Position of the last event that was read before; None if none was.
        is_whole: Whether everything of that position was read: what was stored may end within a commit of several
            records, but what this object has read, it has read whole.
    """

    asked_for: int | None
    known_upto: int | None
    is_whole: bool


class Refused(Exception):  # noqa: N818 (it is an answer)
    """The service answered the connection attempt with an error.

    Attributes:
        status: HTTP status.
        error: Name of the XRPC error; empty where the body is none of XRPC's.
        message: What the service says.
    """

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(f"HTTP {status} {error}: {message}")
        self.status = status
        self.error = error
        self.message = message


class Stream(ABC):
    """A feed that comes over a websocket. A thread of its own reads it; `take` hands over what has arrived.

    Args:
        service: Base URL, `wss://` or `ws://`.
        stall_seconds: A connection that delivers nothing for so long is given up and made anew. A narrow filter is
            quiet for long, and reconnecting costs next to nothing.
        contact: How the service can reach whoever runs this; sent in the User-Agent.

    Attributes:
        service: Host and port of the service.
        reconnects: How often the connection was made anew.
        cursor: Position of the last event that was read; None if there is none that means anything to this service.
    """

    name: str
    subprotocols: tuple[Subprotocol, ...] = ()
    cursor_overlap = 0  # How far before the cursor is asked for, where several events may have the same one.

    def __init__(self, service: str, *, stall_seconds: float, contact: str | None = None) -> None:
        self.base_url = service.rstrip("/")
        self.service = urlsplit(service).netloc or service
        self.reconnects = 0
        self.cursor: int | None = None
        self._stall_seconds = stall_seconds
        self._user_agent = user_agent(contact)
        self._buffer: deque[RepoEvent | Gap] = deque()
        self._cursor_at: datetime | None = None  # Time of the cursor's event, as the service told it.
        self._read_until: datetime | None = None  # Time of the last event, or of the connection at which all began.
        self._taken_until: datetime | None = None
        self._skip = 0
        self._is_cursor_refused = False
        self._gap_reason: str | None = None
        self._reached_at: datetime | None = None
        self._has_known_event = self._has_news = self._has_read = False
        self._proofs_asked = 0
        self._started_at = datetime.now(UTC)
        self._last_frame = time.monotonic()
        self._is_connected = False
        self._has_answered = False
        self._condition = "connecting"
        self._error: BaseException | None = None
        self._is_stopping = threading.Event()
        self._connection: ClientConnection | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name=f"{self.name}-reader", daemon=True)

    @abstractmethod
    def _url(self) -> str:
        """Where to connect, so that the stream goes on at `_resume_at`, or else at `_read_until`."""

    @abstractmethod
    def _read(self, frame: bytes) -> Iterable[RepoEvent | Unwanted | StreamInfo]:
        """Read a frame.

        Raises:
            StreamError: It is an error frame.
        """

    async def _prepare(self) -> None:  # noqa: B027 (most streams need nothing)
        """Do what has to be done before a connection."""

    @abstractmethod
    def _is_recoverable(self, refusal: Refused) -> bool:
        """Adapt to a refusal, so that another attempt may succeed; False if none can."""

    @abstractmethod
    def _adapt(self, error: StreamError) -> None:
        """Adapt to an error frame before the next connection."""

    def start(self, position: Position | None) -> None:
        """Begin to read.

        Args:
            position: `cursor`, None if the position is another host's, and `event_at`, the time of the event there.
        """
        if position:
            self.cursor = position["cursor"]
            read_until = position["event_at"] and datetime.fromisoformat(position["event_at"])
            self._cursor_at = self._read_until = self._taken_until = read_until
        self._thread.start()

    @property
    def _resume_at(self) -> int | None:
        """The cursor to ask for; None if there is none, or none that the service takes."""
        return None if self.cursor is None or self._is_cursor_refused else self.cursor + self._skip

    def take(self, limit: int) -> Delivery:
        """Hand over what has arrived.

        Raises:
            NetworkError: The service cannot be reached at all, or refuses for good.
        """
        events: list[RepoEvent] = []
        gaps: list[Gap] = []
        while self._buffer and len(events) < limit:
            item = self._buffer.popleft()
            if isinstance(item, Gap):
                gaps.append(item)
            else:
                events.append(item)
        if not events:
            if self._error and not gaps and not self._buffer:
                raise self._error
            return Delivery(events, gaps)
        past = (event.event_at for event in reversed(events) if _is_past(event.event_at))
        self._taken_until = next(past, self._taken_until)
        position = {"cursor": events[-1].position, "event_at": self._taken_until and self._taken_until.isoformat()}
        return Delivery(events, gaps, position)

    def commit(self, position: Position) -> None:  # noqa: B027
        """Nothing to do: the service keeps no account of its readers."""

    @property
    def is_caught_up(self) -> bool:
        """Whether the stream has reached the present of its start, or has nothing more to say.

        A stream that is quiet may have stalled. So it is asked anew where it is: if it tells what is known, and nothing
        else, that was all.
        """
        if self._buffer or not self._is_connected:
            return False
        if self._reached_at and self._reached_at >= self._started_at:
            return True
        if time.monotonic() - self._last_frame <= min(QUIET_SECONDS, self._stall_seconds / 2):
            return False
        is_proven = self._has_known_event and not self._has_news
        if self.cursor is None or is_proven or self._proofs_asked >= MOST_PROOFS:
            return True
        self._proofs_asked += 1
        self.reconnect()
        return False

    @property
    def condition(self) -> str:
        """How the connection is."""
        return self._condition

    def stop(self) -> None:
        """Close the connection."""
        self._is_stopping.set()
        if self._loop and self._task:
            with suppress(RuntimeError):  # The loop is closed: the stream has ended by itself.
                self._loop.call_soon_threadsafe(self._task.cancel)
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def reconnect(self) -> None:
        """Make the connection anew, where it is: what is asked for has changed."""
        self._is_connected = False
        if self._loop:
            with suppress(RuntimeError):  # The loop is closed.
                self._loop.call_soon_threadsafe(self._drop_connection)

    def _drop_connection(self) -> None:
        if self._connection:
            self._connection.transport.abort()

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        if self._is_stopping.is_set():
            return
        try:
            await self._subscribe()
        except asyncio.CancelledError:
            pass
        except BaseException as error:  # It is raised where the events are taken.
            self._error = error
            self._condition = one_line(str(error))

    async def _subscribe(self) -> None:
        failures = 0
        while True:
            seen = self.cursor
            try:
                await self._prepare()
                await self._read_connection()
                reason = "closed"
            except Refused as refusal:
                if not self._is_recoverable(refusal):
                    raise RequestRejected(
                        self.service,
                        self.name,
                        "",
                        str(refusal),
                        status=refusal.status,
                        error=refusal.error,
                        message=refusal.message,
                    ) from refusal
                self._has_answered = True
                reason = str(refusal)
            except StreamError as error:
                self._adapt(error)
                reason = str(error)
            except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError) as error:
                reason = str(error) or type(error).__name__
                if isinstance(error, ConnectionClosed) and error.sent and error.sent.code == CloseCode.MESSAGE_TOO_BIG:
                    self._skip_frame(is_known=self.cursor == seen)
            except (InvalidURI, InvalidProxy) as error:
                raise ServiceUnreachable(self.service, self.name, "", str(error)) from error
            self._is_connected = False
            failures = 0 if self.cursor != seen else failures + 1
            if not self._has_answered and failures >= FIRST_ATTEMPTS:
                raise ServiceUnreachable(self.service, self.name, "", reason)
            self.reconnects += 1
            self._condition = f"reconnecting: {one_line(reason, 120)}"
            ceiling = min(LONGEST_BACKOFF, SHORTEST_BACKOFF * 2 ** min(failures, 10))
            await asyncio.sleep(ceiling * random.uniform(0.5, 1.0))

    def _skip_frame(self, *, is_known: bool) -> None:
        """Get past a frame that is too large to be received, whatever its number: ask for one further on each time."""
        if is_known:
            self._skip = max(1, 2 * self._skip)
            self._gap_reason = f"an event larger than {LARGEST_FRAME // 2**20} MiB was skipped"

    async def _read_connection(self) -> None:
        url = self._url()
        try:
            connection = await connect(
                url,
                subprotocols=list(self.subprotocols) or None,
                compression=None,
                max_size=LARGEST_FRAME,
                user_agent_header=self._user_agent,
                ping_interval=20,
                ping_timeout=20,
                close_timeout=0.25,  # The service has nothing more to say that would not be said again.
            )
        except InvalidStatus as error:
            raise _refused(error) from error
        if self._url() != url:  # What is asked for has changed meanwhile.
            await connection.close()
            return
        self._connection = connection
        self._has_known_event = self._has_news = False
        self._is_connected = self._has_answered = True
        self._last_frame = time.monotonic()
        self._condition = "connected"
        if self.cursor is None and self._read_until is None:
            self._read_until = datetime.now(UTC)
        watchdog = asyncio.create_task(self._watch(connection))
        start, is_first = _Start(self._resume_at, self.cursor, self._has_read), True
        try:
            while True:
                frame = await connection.recv(decode=False)
                self._last_frame = time.monotonic()
                for item in self._read(frame):
                    if not isinstance(item, StreamInfo):
                        self._receive(item, start, is_first=is_first)
                        is_first = False
                    elif item.name == "OutdatedCursor":
                        self._gap_reason = self._gap_reason or CURSOR_TOO_OLD
                if len(self._buffer) >= BUFFERED_EVENTS:
                    await self._wait_for_room()
        finally:
            self._is_connected = False
            watchdog.cancel()
            self._connection = None
            await connection.close()

    def _receive(self, item: RepoEvent | Unwanted, start: _Start, *, is_first: bool) -> None:
        """Take what came over a connection.

        Raises:
            StreamError: The first of it says that the numbers are not those that were known.
        """
        if is_first and start.asked_for is not None and self._is_numbered_anew(item, start.asked_for):
            raise StreamError(NUMBERED_ANEW, None)
        # Not by `self.cursor`: it goes back where a service tells again what came before.
        if start.known_upto is not None and item.position <= start.known_upto:
            self._has_known_event = True
        else:
            self._has_news, self._proofs_asked = True, 0
        is_asked_for = item.position == start.asked_for == self.cursor and self._gap_reason is None
        if is_asked_for and not self.cursor_overlap and (is_first or start.is_whole):
            # A cursor is inclusive: of what was stored, the first record at least is known.
            return
        if is_first:
            self._notice_gap(item)
            self._skip, self._is_cursor_refused = 0, False
        self._has_read = True
        self.cursor = item.position
        self._cursor_at = item.event_at
        # Into the buffer first: whoever is told that the present is reached must find all that came before it.
        if isinstance(item, RepoEvent):
            self._buffer.append(item)
        if _is_past(item.event_at):
            self._read_until = self._reached_at = item.event_at

    def _is_numbered_anew(self, first: RepoEvent | Unwanted, asked_for: int) -> bool:
        """Tell by the first event of a connection whether the numbers are not those that were known."""
        return first.position < asked_for - self.cursor_overlap

    def _notice_gap(self, first: RepoEvent | Unwanted) -> None:
        """Name what lies between the last event and the first one of a connection, if the service has it no more."""
        if self._gap_reason is None:
            return
        # By their numbers, where these are of one count; else by their times.
        is_known = (
            (self.cursor is None or first.position <= self.cursor)
            and self._read_until is not None
            and first.event_at is not None
            and first.event_at <= self._read_until
        )
        if not is_known:
            self._buffer.append(Gap(self._read_until, first.event_at, self._gap_reason, self.cursor, first.position))
        self._gap_reason = None

    async def _wait_for_room(self) -> None:
        while len(self._buffer) >= BUFFERED_EVENTS // 2:
            await asyncio.sleep(0.01)
            self._last_frame = time.monotonic()

    async def _watch(self, connection: ClientConnection) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._stall_seconds / 4))
            if time.monotonic() - self._last_frame > self._stall_seconds:
                connection.transport.abort()
                return


def _is_past(event_at: datetime | None) -> bool:
    """Tell whether the time of an event that has come can be right: from the future on, nothing could be asked for."""
    return event_at is not None and event_at <= datetime.now(UTC) + LARGEST_SKEW


def _refused(error: InvalidStatus) -> Refused:
    try:
        rejection = msgspec.json.decode(error.response.body or b"", type=_Rejection)
    except msgspec.DecodeError:
        rejection = _Rejection("", error.response.reason_phrase)
    return Refused(error.response.status_code, rejection.error, rejection.message)
