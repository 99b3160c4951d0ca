"""A small Bluesky on localhost: an XRPC server over the sample world.

With it as a context manager, tests have a real server; `python -m pipelines.sample.server` lets people play with it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import msgspec
from aiohttp import web

from pipelines.sample.views import Views
from pipelines.sample.xrpc import XrpcError, answer

if TYPE_CHECKING:
    from types import TracebackType

    from pipelines.sample.world import World


@dataclass(slots=True)
class Request:
    """A request that was answered, or broken off.

    Attributes:
        nsid: The XRPC method; for other paths, the path.
        params: The first value of each parameter.
        status: The status that was sent; 0 when the connection was broken off before one was.
        at: When it came in, on `time.monotonic`'s clock.
    """

    nsid: str
    params: dict[str, str]
    status: int
    at: float = field(default_factory=time.monotonic)


class SampleServer:
    """The sample world behind HTTP, in a thread of its own.

    Attributes:
        day: The day whose evening is served; may be set while the server runs.
        requests: Every request so far.
        url: Where it listens, without a slash at the end.
    """

    def __init__(self, world: World, day: int = 1, *, port: int = 0) -> None:
        self.world = world
        self.requests: list[Request] = []
        self.day = day
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sample-server", daemon=True)
        self._runner: web.ServerRunner | None = None
        self.url = ""

    @property
    def day(self) -> int:
        """The day whose evening is served; may be set while the server runs."""
        return self._views.day.number

    @day.setter
    def day(self, day: int) -> None:
        self._views = Views(self.world.on(day))

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._handle))
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def _stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        nsid = request.path.removeprefix("/xrpc/")
        query = request.query
        record = Request(nsid, {name: query.getone(name) for name in query}, 0)
        self.requests.append(record)
        params = {name.removesuffix("[]"): query.getall(name) for name in query}
        try:
            body, status = answer(nsid, self._views, params), 200
        except XrpcError as error:
            body, status = msgspec.json.encode({"error": error.error, "message": error.message}), error.status
        record.status = status
        response = web.Response(body=body, status=status, content_type="application/json", charset="utf-8")
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            response.enable_compression(web.ContentCoding.gzip)
        return response
