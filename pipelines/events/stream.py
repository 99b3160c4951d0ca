"""A subscription to a stream of events over a websocket, through whatever happens to the connection.

It reconnects where it left off, with backoff and jitter; notices a connection that has gone silent; and stops reading
while nobody takes what it has. Where it is, and which stretch of time the service will not deliver any more, its
bookmark decides.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypedDict, Unpack
from urllib.parse import urlsplit

import msgspec
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidProxy, InvalidStatus, InvalidURI
from websockets.frames import CloseCode

from pipelines.events.bookmark import NUMBERED_ANEW, Bookmark, Numbering, Standing, position_after
from pipelines.events.event_json import StreamError, StreamInfo
from pipelines.events.repo_event import Delivery, Gap, Position, RepoEvent
from pipelines.network.did_documents import LOCALHOST
from pipelines.network.errors import RequestRejected, ServiceUnreachable, one_line
from pipelines.network.headers import user_agent
from pipelines.network.service_clock import ServiceClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from websockets.asyncio.client import ClientConnection
    from websockets.typing import Subprotocol

    from pipelines.events.bookmark import Start, Unwanted

LARGEST_FRAME: Final = 32 * 1024 * 1024
"""Bytes, compressed or not: what Jetstream's own client allows."""

FIRST_ATTEMPTS: Final = 6
"""How often a service is tried that has never answered, before it counts as unreachable: about ten seconds."""


@dataclass(frozen=True)
class StreamLimits:
    """How long a stream waits, and how much it holds.

    Attributes:
        buffered_events: Events that may wait to be taken. Beyond that, nothing is read from the socket, and the service
            has to wait.
        quiet_seconds: A stream that has been connected and silent for so long may have delivered what it had.
        shortest_backoff: Seconds before the first reconnection; they double with each attempt that brings nothing.
        longest_backoff: Seconds before a reconnection, at most.
    """

    buffered_events: int = 50_000
    quiet_seconds: float = 3.0
    shortest_backoff: float = 0.25
    longest_backoff: float = 30.0


DEFAULT_LIMITS: Final = StreamLimits()


class StreamOptions(TypedDict, total=False):
    """How a stream is read.

    Attributes:
        stall_seconds: A connection that delivers nothing for so long is given up and made anew; 60 if not said. A
            narrow filter is quiet for long, and reconnecting costs next to nothing.
        contact: How the service can reach whoever runs this; sent in the User-Agent.
        limits: How long it waits, and how much it holds.
        clock: Tells the time, UTC. Where none is handed in, the service's own counts if this machine's clock is wrong,
            as far as an answer of the service tells it.
    """

    stall_seconds: float
    contact: str | None
    limits: StreamLimits
    clock: Callable[[], datetime] | None


class Answer(Enum):
    """What follows from a refusal or an error frame."""

    RETRY = auto()
    """Another attempt, at the same place, may succeed."""

    CURSOR_TOO_OLD = auto()
    """The service has lost what comes after the cursor."""

    NUMBERED_ANEW = auto()
    """The cursor means nothing to the service any more."""

    GIVE_UP = auto()
    """No attempt can succeed."""


class _Rejection(msgspec.Struct):
    error: str = ""
    message: str = ""


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

    Threads: the reader's thread owns the connection and, once it runs, the bookmark. Whoever takes (one thread) owns
    the position that was handed over last. Between the two are the buffer, a deque, and single values, each of which
    one thread replaces and the other reads: the bookmark's standing, the time of the last frame, the condition and the
    error. What has to happen in the reader's thread is sent to its loop.

    Args:
        service: Base URL, `wss://` or `ws://`.
        options: How it is read.

    Attributes:
        clock: Tells the time.
        service: Host and port of the service.
        bookmark: Where it is. Before `start`, it may be told where to go on; then it is the reader's.
    """

    name: str
    numbering: Numbering
    subprotocols: tuple[Subprotocol, ...] = ()

    def __init__(self, service: str, **options: Unpack[StreamOptions]) -> None:
        self.base_url = service.rstrip("/")
        self.service = urlsplit(service).netloc or service
        self.clock = options.get("clock") or ServiceClock()
        self.bookmark = Bookmark(self.numbering, clock=self.clock)
        self._stall_seconds = options.get("stall_seconds", 60.0)
        self._user_agent = user_agent(options.get("contact"))
        self._limits = options.get("limits", DEFAULT_LIMITS)
        self._buffer: deque[RepoEvent | Gap] = deque()
        self._position: Position | None = None  # Where whoever takes is.
        self._standing: Standing | None = None  # None while there is no connection, or one that is given up.
        self._last_frame = time.monotonic()
        self._has_answered = False
        self._condition = "connecting"
        self._error: BaseException | None = None
        self._is_stopping = threading.Event()
        self._connection: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._thread = threading.Thread(target=self._run, name=f"{self.name}-reader", daemon=True)

    @abstractmethod
    def _url(self, start: Start) -> str:
        """Give the URL that asks for what is wanted, from `start` on."""

    @abstractmethod
    def _read(self, frame: bytes, last_position: int) -> Iterable[RepoEvent | Unwanted | StreamInfo]:
        """Read a frame.

        Args:
            frame: What came.
            last_position: Position of the event before it, for what cannot be read.

        Raises:
            StreamError: It is an error frame.
        """

    async def _prepare(self) -> None:  # noqa: B027 (most streams need nothing)
        """Do what has to be done before a connection."""

    def _after_refusal(self, refusal: Refused) -> Answer:
        """Tell what follows from a refusal."""
        is_passing = refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR or refusal.status in (
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.TOO_MANY_REQUESTS,
        )
        return Answer.RETRY if is_passing else Answer.GIVE_UP

    def _after_error(self, error: StreamError) -> Answer:
        """Tell what follows from an error frame. After `ConsumerTooSlow` and the like, a stream goes on."""
        del error
        return Answer.RETRY

    def start(self, position: Position | None) -> None:
        """Begin to read.

        Args:
            position: See `position_after`; `cursor` is None if the position is another host's.
        """
        if position:
            event_at = position["event_at"]
            # Positions of before have no `cursor_at`.
            cursor_at = position.get("cursor_at", event_at)
            self.bookmark.go_on(position["cursor"], _time_of(event_at), _time_of(cursor_at))
            self._position = position
        self._thread.start()

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
        self._position = position_after(events, self._position, self.clock())
        return Delivery(events, gaps, self._position)

    def commit(self, position: Position) -> None:  # noqa: B027
        """Nothing to do: the service keeps no account of its readers."""

    @property
    def is_caught_up(self) -> bool:
        """Whether the stream has reached the present of its start, or has nothing more to say.

        A stream that is quiet may have stalled. So it is asked anew where it is: if the service repeats what is known,
        and tells nothing else, that was all.
        """
        standing = self._standing
        if self._buffer or standing is None:
            return False
        if standing is Standing.REACHED:
            return True
        if time.monotonic() - self._last_frame <= min(self._limits.quiet_seconds, self._stall_seconds / 2):
            return False
        if standing is Standing.OPEN:
            self._in_reader(self.bookmark.ask_for_proof)
            self.reconnect()
        return standing is Standing.PROVEN

    @property
    def condition(self) -> str:
        """How the connection is."""
        return self._condition

    def stop(self) -> None:
        """Close the connection."""
        self._is_stopping.set()
        if self._task:
            self._in_reader(self._task.cancel)
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    def reconnect(self) -> None:
        """Make the connection anew, where it is: what is asked for has changed."""
        self._standing = None
        self._in_reader(self._drop_connection)

    def _in_reader(self, act: Callable[[], object]) -> None:
        """Let the reader's thread do something, if it runs."""
        if self._task:
            with suppress(RuntimeError):  # The loop is closed: the stream has ended by itself.
                self._task.get_loop().call_soon_threadsafe(act)

    def _drop_connection(self) -> None:
        if self._connection:
            self._connection.transport.abort()

    def _run(self) -> None:
        asyncio.run(self._main())

    async def _main(self) -> None:
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
            cursor_before = self.bookmark.cursor
            reason = await self._attempt()
            failures = 0 if self.bookmark.cursor != cursor_before else failures + 1
            if not self._has_answered and failures >= FIRST_ATTEMPTS:
                raise ServiceUnreachable(self.service, self.name, "", reason)
            self._condition = f"reconnecting: {one_line(reason, 120)}"
            ceiling = min(self._limits.longest_backoff, self._limits.shortest_backoff * 2 ** min(failures, 10))
            await asyncio.sleep(ceiling * random.uniform(0.5, 1.0))

    async def _attempt(self) -> str:
        """Connect, read until the connection ends, and tell why it did.

        Raises:
            NetworkError: No other attempt can succeed.
        """
        try:
            await self._prepare()
            return await self._read_connection()
        except Refused as refusal:
            answer = self._after_refusal(refusal)
            if answer is Answer.GIVE_UP:
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
            self._move_bookmark(answer)
            return str(refusal)
        except StreamError as error:
            self._move_bookmark(self._after_error(error))
            return str(error)
        except (OSError, ConnectionClosed, InvalidHandshake, TimeoutError) as error:
            if isinstance(error, ConnectionClosed) and error.sent and error.sent.code == CloseCode.MESSAGE_TOO_BIG:
                self.bookmark.skip_frame(f"an event larger than {LARGEST_FRAME // 2**20} MiB was skipped")
            return str(error) or type(error).__name__
        except (InvalidURI, InvalidProxy) as error:
            raise ServiceUnreachable(self.service, self.name, "", str(error)) from error

    def _move_bookmark(self, answer: Answer) -> None:
        match answer:
            case Answer.CURSOR_TOO_OLD:
                self.bookmark.begin_with_oldest()
            case Answer.NUMBERED_ANEW:
                self.bookmark.begin_anew()

    async def _read_connection(self) -> str:
        """Connect, read until the connection is of no use any more, and tell why it is not."""
        url = self._url(self.bookmark.start)
        try:
            connection = await connect(
                url,
                subprotocols=list(self.subprotocols) or None,
                compression=None,
                max_size=LARGEST_FRAME,
                user_agent_header=self._user_agent,
                ping_interval=20,
                ping_timeout=20,
                proxy=None if urlsplit(url).hostname in LOCALHOST else True,
                close_timeout=0.25,  # The service has nothing more to say that would not be said again.
            )
        except InvalidStatus as error:
            raise _refused(error) from error
        if connection.response:
            self._hear(connection.response.headers)
        if self._url(self.bookmark.start) != url:  # What is asked for has changed meanwhile.
            await connection.close()
            return "closed"
        self._connection = connection
        self.bookmark.connect()
        self._has_answered = True
        self._last_frame = time.monotonic()
        self._standing = self.bookmark.standing
        self._condition = "connected"
        watchdog = asyncio.create_task(self._watch(connection))
        try:
            while True:
                frame = await connection.recv(decode=False)
                self._last_frame = time.monotonic()
                if not self._receive(frame):
                    return NUMBERED_ANEW
                if len(self._buffer) >= self._limits.buffered_events:
                    await self._wait_for_room()
        finally:
            self._standing = None
            watchdog.cancel()
            self._connection = None
            await connection.close()

    def _hear(self, headers: Mapping[str, str]) -> None:
        """Hold this machine's clock against the service's, if an answer tells its time."""
        if isinstance(self.clock, ServiceClock):
            self.clock.hear(headers)

    def _receive(self, frame: bytes) -> bool:
        """Put what a frame holds into the buffer; False if the connection is of no use any more."""
        for item in self._read(frame, self.bookmark.cursor or 0):
            if isinstance(item, StreamInfo):
                if item.name == "OutdatedCursor":
                    self.bookmark.lose_past()
                continue
            received = self.bookmark.receive(item)
            if received is None:
                return False
            self._buffer.extend(received)
        # Into the buffer first: whoever is told that the present is reached must find all that came before it.
        self._standing = self.bookmark.standing
        return True

    async def _wait_for_room(self) -> None:
        while len(self._buffer) >= self._limits.buffered_events // 2:
            await asyncio.sleep(0.01)
            self._last_frame = time.monotonic()

    async def _watch(self, connection: ClientConnection) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._stall_seconds / 4))
            if time.monotonic() - self._last_frame > self._stall_seconds:
                connection.transport.abort()
                return


def _time_of(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _refused(error: InvalidStatus) -> Refused:
    try:
        rejection = msgspec.json.decode(error.response.body or b"", type=_Rejection)
    except (ValueError, RecursionError):
        rejection = _Rejection("", error.response.reason_phrase)
    return Refused(error.response.status_code, rejection.error, rejection.message)
