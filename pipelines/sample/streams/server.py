"""What the sample world's stream servers have in common: one log of events, any number of readers, faults on demand."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Self

import msgspec
from aiohttp import WSMsgType, web

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from pipelines.sample.streams.events import StreamEvent

_IDLE_SECONDS: Final = 0.005
_SENT_AT_ONCE: Final = 100


class StreamFault(StrEnum):
    """A thing that can go wrong with a subscription."""

    REFUSED = "the connection is answered with 503"
    BROKEN_OFF = "the connection is cut"
    SILENT = "nothing more is sent, and nothing said; pings are answered"
    TOO_SLOW = "an error frame says that the reader is too slow"
    MALFORMED = "a frame that is cut in half, then on as usual"
    OVERSIZED = "a frame of 40 MiB, then on as usual"


@dataclass(frozen=True)
class StreamStrike:
    """A fault that one connection has, after it has sent so many events."""

    fault: StreamFault
    after: int = 0


class StreamRefusal(Exception):  # noqa: N818 (it is an answer)
    """A connection attempt that is answered with an error, as XRPC says it."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.body = msgspec.json.encode({"error": error, "message": message})
        self.status = status


@dataclass(frozen=True)
class Subscription:
    """What one connection gets.

    Attributes:
        start: Index into the log where it begins.
        wants: Whether it gets an event.
        frame: How an event is written for it.
        greeting: Frames that come first.
    """

    start: int
    wants: Callable[[StreamEvent], bool]
    frame: Callable[[StreamEvent], bytes]
    greeting: tuple[bytes, ...] = ()


class StreamServer(ABC):
    """A log of events behind a websocket, in a thread of its own.

    Attributes:
        log: The events, oldest first. It may grow while the server runs.
        strikes: Faults; each connection has the next one, until there are no more.
        connections: The parameters of each connection attempt so far.
        sent: Events sent, over all connections.
        url: Where it listens: `ws://host:port`.
    """

    subprotocols: tuple[str, ...] = ()

    def __init__(self, events: Iterable[StreamEvent] = (), *, port: int = 0) -> None:
        self.log: list[StreamEvent] = list(events)
        self.strikes: deque[StreamStrike] = deque()
        self.connections: list[dict[str, list[str]]] = []
        self.sent = 0
        self.url = ""
        self._port = port
        self._is_over = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sample-stream", daemon=True)
        self._runner: web.ServerRunner | None = None

    @abstractmethod
    def subscribe(self, path: str, params: Mapping[str, list[str]]) -> Subscription:
        """Answer a connection attempt.

        Raises:
            StreamRefusal: It is refused.
        """

    @abstractmethod
    def error_frame(self, error: str, message: str) -> bytes:
        """Write an error frame."""

    def serve(self, request: web.BaseRequest) -> web.Response | None:
        """Answer a plain request; None if there is nothing at this path."""
        del request
        return None

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        host, port = self._runner.addresses[0][:2]
        self._port = port
        self.url = f"ws://{host}:{port}"

    async def _stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return self.serve(request) or web.Response(status=404)
        params = {name: request.query.getall(name) for name in request.query}
        self.connections.append(params)
        strike = self.strikes.popleft() if self.strikes else None
        if strike and strike.fault is StreamFault.REFUSED:
            return web.Response(status=503, text="<html>503</html>", content_type="text/html")
        try:
            subscription = self.subscribe(request.path, params)
        except StreamRefusal as refusal:
            return web.Response(status=refusal.status, body=refusal.body, content_type="application/json")
        socket = web.WebSocketResponse(protocols=self.subprotocols, compress=False, max_msg_size=2**20)
        await socket.prepare(request)
        reader = asyncio.ensure_future(self._until_closed(socket))
        try:
            await self._send(socket, request, subscription, strike)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            reader.cancel()
        return socket

    async def _until_closed(self, socket: web.WebSocketResponse) -> None:
        # A subscription is one-way: a reader who sends anything is cut off.
        async for message in socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                break
        await socket.close()

    async def _send(
        self,
        socket: web.WebSocketResponse,
        request: web.BaseRequest,
        subscription: Subscription,
        strike: StreamStrike | None,
    ) -> None:
        for frame in subscription.greeting:
            await self._send_frame(socket, frame)
        index, sent = subscription.start, 0
        while not socket.closed and not self._is_over:
            batch = self.log[index : index + _SENT_AT_ONCE]
            if not batch:
                await asyncio.sleep(_IDLE_SECONDS)
            for event in batch:
                if strike and sent >= strike.after:
                    if not await self._go_wrong(strike.fault, socket, request, subscription.frame(event)):
                        return
                    strike = None
                index += 1
                if subscription.wants(event):
                    await self._send_frame(socket, subscription.frame(event))
                    sent += 1
                    self.sent += 1

    async def _send_frame(self, socket: web.WebSocketResponse, frame: bytes) -> None:
        if frame.startswith(b"{"):
            await socket.send_str(frame.decode(errors="ignore"))
        else:
            await socket.send_bytes(frame)

    async def _go_wrong(
        self, fault: StreamFault, socket: web.WebSocketResponse, request: web.BaseRequest, frame: bytes
    ) -> bool:
        """Let a fault happen; False if the connection ends with it."""
        match fault:
            case StreamFault.BROKEN_OFF:
                if request.transport:
                    request.transport.abort()
                return False
            case StreamFault.SILENT:
                while not socket.closed and not self._is_over:
                    await asyncio.sleep(_IDLE_SECONDS)
                return False
            case StreamFault.TOO_SLOW:
                await self._send_frame(socket, self.error_frame("ConsumerTooSlow", "Stream consumer too slow"))
                await socket.close(code=1008)
                return False
            case StreamFault.MALFORMED:
                await self._send_frame(socket, frame[: len(frame) // 2])
            case StreamFault.OVERSIZED:
                await socket.send_bytes(b" " * (40 * 2**20))
        return True
