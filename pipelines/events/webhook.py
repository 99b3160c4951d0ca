"""A webhook that repository events are pushed to: Tap's, or anybody's who sends one JSON event a request.

Tap (https://github.com/bluesky-social/indigo/tree/main/cmd/tap) sends one event a POST, takes any 2xx for its
acknowledgement, and repeats an event for ever otherwise. So an event is acknowledged when it is on disk, no sooner.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from pipelines.events.event_json import is_json, read_json_event
from pipelines.events.repo_event import Delivery, Position, RepoEvent
from pipelines.events.spool import Spool, SpoolFull
from pipelines.events.webhook_door import Door, DoorLimits
from pipelines.network.errors import ServiceFailed

LARGEST_BODY: Final = 8 * 1024 * 1024
"""Bytes. A record has at most one MiB (https://atproto.com/specs/repository), in JSON a few times that."""

MOST_HELD: Final = 256 * 1024 * 1024
"""Bytes of requests that may be on their way in, or wait for the disk; more are told to come back."""

HELD_AT_LEAST: Final = 128 * 1024
"""Bytes that a request counts for, however small: what may be buffered of it."""

BODY_SECONDS: Final = 30.0
BACKLOG: Final = 128
DEFAULT_LIMITS: Final = DoorLimits()
RETRY_AFTER: Final = {"Retry-After": "5"}

_USER: Final = "admin"
_WRITTEN_AT_ONCE: Final = 1_000


class Webhook:
    """A feed of events that are pushed to us.

    `POST /` takes an event: 200 when it is on disk, 400 for what is no JSON, 401 without the password, 413 for what is
    too large, 503 when there is no room. `GET /health` says how many events wait to be loaded.

    Args:
        spool: Where events wait.
        host: Address to listen at.
        port: Port to listen at; 0 for any.
        password: What senders have to know; their name is `admin`, as Tap calls itself.
        limits: What anybody may use up.

    Attributes:
        service: Where it listens.
        received: Events acknowledged.
        refused: Requests that were not, by status.
    """

    name = "webhook"

    def __init__(
        self, spool: Spool, *, host: str, port: int, password: str, limits: DoorLimits = DEFAULT_LIMITS
    ) -> None:
        self.service = f"{host}:{port}"
        self.url = ""
        self.received = 0
        self.refused: dict[int, int] = {}
        self._spool = spool
        self._host, self._port = host, port
        self._has_password = bool(password)
        self._credentials = base64.b64encode(f"{_USER}:{password}".encode())
        self._limits = limits
        self._door: Door | None = None
        self._server: asyncio.Server | None = None
        self._waits_for_descriptors = False
        self._taken = 0
        self._held = 0
        self._waiting: list[tuple[bytes, asyncio.Future[bool]]] = []
        self._has_waiting = asyncio.Event()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="webhook-spool")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="webhook", daemon=True)
        self._runner: web.AppRunner | None = None
        self._writing: asyncio.Task[None] | None = None

    def start(self, position: Position | None) -> None:
        """Begin to listen.

        Raises:
            ServiceFailed: The address is in use or not ours, or the password is empty: then anybody would know it.
        """
        if not self._has_password:
            raise ServiceFailed(self.service, self.name, "", "webhook_password is empty: everybody would get in")
        if position and position["spool"] == self._spool.identity:
            self._taken = position["id"]
            self._spool.remove(self._taken)
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        except OSError as error:
            raise ServiceFailed(self.service, self.name, "", f"cannot listen there: {error.strerror}") from error

    def take(self, limit: int) -> Delivery:
        """Hand over events from the spool."""
        entries = self._spool.read(self._taken, limit)
        if not entries:
            return Delivery(())
        self._taken = entries[-1][0]
        events = [event for number, at, body in entries if (event := _event(number, at, body))]
        return Delivery(events, position={"spool": self._spool.identity, "id": self._taken})

    def commit(self, position: Position) -> None:
        """Forget what is in the lake."""
        self._spool.remove(position["id"])

    @property
    def is_caught_up(self) -> bool:
        """Whether everything that was acknowledged has been handed over."""
        return not self._spool.read(self._taken, 1)

    @property
    def condition(self) -> str:
        """What it received and refused."""
        refused = sum(self.refused.values())
        facts = [f"listening at {self.url}", f"{self._spool.pending:,} pending", f"{refused:,} requests refused"]
        if self._door and self._door.turned_away:
            facts.append(f"{self._door.turned_away:,} connections were too many")
        if self._waits_for_descriptors:
            facts.append("there were no file descriptors left: raise `ulimit -n`")
        return ", ".join(facts)

    def stop(self) -> None:
        """Stop listening. What is in the spool stays there."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()
        self._writer.shutdown()
        self._spool.close()

    async def _listen(self) -> None:
        application = web.Application(client_max_size=LARGEST_BODY)
        application.router.add_post("/", self._receive)
        application.router.add_get("/health", self._health)
        # No body and no header may end up in a log.
        logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
        self._loop.set_exception_handler(self._hear_of_trouble)
        self._runner = web.AppRunner(
            application,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=5,
            keepalive_timeout=self._limits.idle_seconds,
        )
        await self._runner.setup()
        assert self._runner.server
        self._door = Door(self._runner.server, self._limits)
        self._server = await self._loop.create_server(self._door, self._host, self._port, backlog=BACKLOG)
        self._writing = asyncio.create_task(self._write())
        host, port = self._server.sockets[0].getsockname()[:2]
        self.url = f"http://{host}:{port}"

    def _hear_of_trouble(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Note that a connection could not be taken: asyncio pauses for a second, and says so for each of them."""
        if isinstance(context.get("exception"), OSError) and "socket" in context:
            self._waits_for_descriptors = True
        else:
            loop.default_exception_handler(context)

    async def _close(self) -> None:
        if self._server:
            self._server.close()
        if self._runner:
            await self._runner.cleanup()
        if self._writing:
            self._writing.cancel()

    async def _receive(self, request: web.Request) -> web.Response:
        status = await self._store(request)
        if status is HTTPStatus.OK:
            self.received += 1
            return web.json_response({})
        self.refused[status] = self.refused.get(status, 0) + 1
        headers = {}
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            headers = RETRY_AFTER
        elif status is HTTPStatus.UNAUTHORIZED:
            headers = {"WWW-Authenticate": 'Basic realm="repo events"'}
        response = web.Response(status=status, headers=headers)
        if request.body_exists and not request.content.at_eof():
            response.force_close()  # Nobody waits for the rest of a body that is not wanted.
        return response

    async def _store(self, request: web.Request) -> HTTPStatus:
        if not self._is_allowed(request.headers.get("Authorization", "")):
            return HTTPStatus.UNAUTHORIZED
        # Sent in chunks, it may be as large as any.
        size = LARGEST_BODY if request.content_length is None else request.content_length
        if size > LARGEST_BODY:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        size = max(size, HELD_AT_LEAST)
        if self._held + size > MOST_HELD:
            return HTTPStatus.SERVICE_UNAVAILABLE
        self._held += size
        try:
            return await self._take_in(request)
        finally:
            self._held -= size

    async def _take_in(self, request: web.Request) -> HTTPStatus:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await request.read()
        except TimeoutError:
            return HTTPStatus.REQUEST_TIMEOUT
        except web.HTTPRequestEntityTooLarge:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        except (web.RequestPayloadError, ValueError):
            return HTTPStatus.BAD_REQUEST
        if not is_json(body):
            return HTTPStatus.BAD_REQUEST
        is_stored: asyncio.Future[bool] = self._loop.create_future()
        self._waiting.append((body, is_stored))
        self._has_waiting.set()
        return HTTPStatus.OK if await is_stored else HTTPStatus.SERVICE_UNAVAILABLE

    def _is_allowed(self, authorization: str) -> bool:
        scheme, _, credentials = authorization.partition(" ")
        is_right = hmac.compare_digest(credentials.strip().encode(errors="surrogateescape"), self._credentials)
        return is_right and scheme.lower() == "basic"

    async def _write(self) -> None:
        """Put what waits on the disk, as many at once as have come in meanwhile."""
        while True:
            await self._has_waiting.wait()
            batch, self._waiting = self._waiting[:_WRITTEN_AT_ONCE], self._waiting[_WRITTEN_AT_ONCE:]
            if not self._waiting:
                self._has_waiting.clear()
            try:
                await self._loop.run_in_executor(self._writer, self._spool.append, [body for body, _ in batch])
                is_stored = True
            except SpoolFull:
                is_stored = False
            for _, future in batch:
                if not future.done():
                    future.set_result(is_stored)

    async def _health(self, request: web.Request) -> web.Response:
        del request
        return web.json_response(
            {
                "status": "ok",
                "pending": self._spool.pending,
                "pending_bytes": self._spool.pending_bytes,
                "received": self.received,
                "refused": sum(self.refused.values()),
            }
        )


def _event(number: int, received_at: int, body: bytes) -> RepoEvent | None:
    event = read_json_event(body, number)
    if event is not None and event.event_at is None:
        # Tap tells no time of a new handle or status.
        event.event_at = datetime.fromtimestamp(received_at / 1e6, UTC)
    return event
