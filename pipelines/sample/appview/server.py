"""A small Bluesky on localhost: the sample world behind HTTP.

One address plays all the parts that a pipeline talks to: the AppView, everybody's PDS, the PLC directory and
go.bsky.app. As a context manager it serves tests; `python -m pipelines.sample` is one to play with.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import math
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec
from aiohttp import web

from pipelines.sample.appview.bulk import BulkDay, BulkViews, BulkWorld
from pipelines.sample.appview.faults import Fault, Faults, spoil
from pipelines.sample.appview.queries import XrpcError, answer
from pipelines.sample.appview.repo_writer import verification_method
from pipelines.sample.appview.sessions import Sessions
from pipelines.sample.appview.signed_repositories import signing_key
from pipelines.sample.appview.views import Views
from pipelines.sample.world.truth import DELETED
from pipelines.sample.world.world import World

if TYPE_CHECKING:
    from types import TracebackType

_JSON: Final = "application/json; charset=utf-8"
_HTML: Final = "text/html; charset=utf-8"
_CAR: Final = "application/vnd.ipld.car"
_PAGES: Final = {
    Fault.BAD_GATEWAY: (502, b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
    Fault.UNAVAILABLE: (503, b"<html><body><h1>503 Service Unavailable</h1></body></html>"),
    Fault.FORBIDDEN: (403, b"<html><body>Request forbidden by administrative rules.</body></html>"),
}
_ERRORS: Final = {
    Fault.INTERNAL_ERROR: XrpcError(500, "InternalServerError", "Internal Server Error"),
    Fault.NOT_IMPLEMENTED: XrpcError(501, "MethodNotImplemented", "Method Not Implemented"),
}
_DID_PATH: Final = re.compile(r"/(did:plc:[a-z2-7]{24})")


@dataclass(slots=True)
class Request:
    """A request.

    Attributes:
        nsid: The XRPC method; for other paths, the path.
        params: The first value of each parameter.
        status: The status that was sent; 0 while none has been.
        at: When it came in, on `time.monotonic`'s clock.
    """

    nsid: str
    params: dict[str, str]
    status: int = 0
    at: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many requests in a window of so many seconds, as a PDS counts them (3,000 in 300)."""

    limit: int
    window_seconds: float


@dataclass(slots=True)
class _Reply:
    status: int
    body: bytes
    content_type: str = _JSON
    headers: dict[str, str] = field(default_factory=dict)


class SampleServer:
    """The sample world behind HTTP, in a thread of its own.

    Attributes:
        requests: Every request so far, in the order they came in.
        faults: What is to go wrong.
        sessions: Who is logged in.
        url: Where it listens, without a slash at the end.
    """

    def __init__(
        self,
        world: World,
        day: int = 1,
        *,
        port: int = 0,
        rate_limit: RateLimit | None = None,
        latency_seconds: float = 0.0,
    ) -> None:
        self.world = world
        self.requests: list[Request] = []
        self.faults = Faults()
        self.sessions = Sessions()
        self.url = ""
        self.day = day
        self._port = port
        self._rate_limit = rate_limit
        self._window_ends = 0.0
        self._used = 0
        self._latency_seconds = latency_seconds
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sample-server", daemon=True)
        self._runner: web.ServerRunner | None = None

    @property
    def day(self) -> int:
        """The day whose evening is served; may be set while the server runs."""
        return self._views.day.number

    @day.setter
    def day(self, day: int) -> None:
        seen = self.world.on(day)
        self._views = BulkViews(seen) if isinstance(seen, BulkDay) else Views(seen)

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        except OSError:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def _stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        query = request.query
        nsid = request.path.removeprefix("/xrpc/")
        log = Request(nsid, {name.removesuffix("[]"): query[name] for name in query})
        self.requests.append(log)
        params = {name.removesuffix("[]"): query.getall(name) for name in query}
        strike = self.faults.strike(nsid, params)
        if self._latency_seconds:
            await asyncio.sleep(self._latency_seconds)
        if strike and strike.fault is Fault.SLOW:
            await asyncio.sleep(strike.seconds)
        if strike and strike.fault is Fault.RESET:
            return _reset(request)
        headers, is_exceeded = self._spend()
        if is_exceeded or (strike and strike.fault is Fault.RATE_LIMITED):
            reply = _error(XrpcError(429, "RateLimitExceeded", "Rate Limit Exceeded"))
            if strike and strike.retry_after is not None:
                headers["Retry-After"] = f"{strike.retry_after:g}"
        elif strike and strike.fault in _ERRORS:
            reply = _error(_ERRORS[strike.fault])
        elif strike and strike.fault in _PAGES:
            status, page = _PAGES[strike.fault]
            reply = _Reply(status, page, _HTML)
        else:
            reply = await self._reply(request, nsid, params)
            if reply.status == 200:
                reply.body = self.faults.mutated(nsid, reply.body)
                if strike:
                    reply.body = spoil(strike.fault, nsid, params, reply.body)
        log.status = reply.status
        if strike and strike.fault in (Fault.RESET_IN_BODY, Fault.CLOSED_IN_BODY):
            return await _break_off(request, reply, strike.fault)
        headers |= {"Content-Type": reply.content_type, **reply.headers}
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers["Content-Encoding"] = "gzip"
            reply.body = gzip.compress(reply.body, compresslevel=1, mtime=0)
        return web.Response(body=reply.body, status=reply.status, headers=headers)

    def _spend(self) -> tuple[dict[str, str], bool]:
        """Take one request from the allowance: the headers that say what is left, and whether that was too much."""
        if self._rate_limit is None:
            return {}, False
        now = time.time()
        if now >= self._window_ends:
            self._window_ends = now + self._rate_limit.window_seconds
            self._used = 0
        self._used += 1
        limit = self._rate_limit.limit
        headers = {
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": str(max(0, limit - self._used)),
            "RateLimit-Reset": str(math.floor(self._window_ends)),
            "RateLimit-Policy": f"{limit};w={self._rate_limit.window_seconds:g}",
        }
        if self._used <= limit:
            return headers, False
        return headers | {"Retry-After": str(math.ceil(self._window_ends - now))}, True

    async def _reply(self, request: web.BaseRequest, nsid: str, params: dict[str, list[str]]) -> _Reply:
        if not request.path.startswith("/xrpc/"):
            return self._plc_document(request.path) or self._short_link(request)
        authorization = request.headers.get("Authorization")
        day = self._views.day
        try:
            match request.method, nsid:
                case "POST", "com.atproto.server.createSession":
                    session = self.sessions.create(day, await request.read())
                case "POST", "com.atproto.server.refreshSession":
                    session = self.sessions.refresh(day, authorization)
                case "GET", "com.atproto.server.getSession":
                    session = self.sessions.show(day, authorization)
                case "POST", "com.atproto.server.deleteSession":
                    self.sessions.delete(authorization)
                    return _Reply(200, b"")
                case "GET", _:
                    requester = self.sessions.requester(authorization) if authorization else None
                    content_type = _CAR if nsid == "com.atproto.sync.getRepo" else _JSON
                    return _Reply(200, answer(nsid, self._views, params, requester), content_type)
                case _:
                    raise XrpcError(501, "MethodNotImplemented", "Method Not Implemented")
            session["didDoc"] = self._did_document(session["did"])
            return _Reply(200, msgspec.json.encode(session))
        except XrpcError as error:
            return _error(error)

    def _did_document(self, did: str) -> dict[str, Any]:
        day = self._views.day
        return {
            "@context": ["https://www.w3.org/ns/did/v1"],
            "id": did,
            "alsoKnownAs": [f"at://{day.actors[did].handle(day.now)}"],
            "verificationMethod": [verification_method(signing_key(day, did), did)],
            "service": [
                {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": self.url},
            ],
        }

    def _plc_document(self, path: str) -> _Reply | None:
        """Answer as the PLC directory (https://web.plc.directory/api)."""
        match = _DID_PATH.fullmatch(path)
        if match is None:
            return None
        did, day = match[1], self._views.day
        if did not in day.actors:
            return _Reply(404, msgspec.json.encode({"message": f"DID not registered: {did}"}))
        if day.actors[did].status(day.now) == DELETED:
            return _Reply(410, msgspec.json.encode({"message": f"DID not available: {did}"}))
        return _Reply(200, msgspec.json.encode(self._did_document(did)), "application/did+ld+json")

    def _short_link(self, request: web.BaseRequest) -> _Reply:
        """Answer as go.bsky.app."""
        wants_json = "application/json" in request.headers.get("Accept", "")
        for pack in self.world.packs:
            if request.path == f"/{pack.short_code}":
                url = f"https://bsky.app/start/{pack.creator}/{pack.rkey}"
                if wants_json:
                    return _Reply(200, msgspec.json.encode({"url": url}))
                return _Reply(301, b"", _HTML, {"Location": url})
        if wants_json:
            return _error(XrpcError(404, "NotFound", "Link not found"))
        return _Reply(302, b"", _HTML, {"Location": "https://bsky.app"})


def _error(error: XrpcError) -> _Reply:
    return _Reply(error.status, msgspec.json.encode({"error": error.error, "message": error.message}))


def _reset(request: web.BaseRequest) -> web.Response:
    """Drop the connection with a TCP reset."""
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.abort()
    return web.Response()


async def _break_off(request: web.BaseRequest, reply: _Reply, fault: Fault) -> web.Response:
    """Send half of a reply and no more."""
    if request.transport is not None:
        head = f"HTTP/1.1 {reply.status} OK\r\nContent-Type: {reply.content_type}\r\nContent-Length: {len(reply.body)}"
        request.transport.write(head.encode() + b"\r\n\r\n" + reply.body[: len(reply.body) // 2])
        if fault is Fault.RESET_IN_BODY:
            # What the client has not read when the reset comes is lost to it.
            await asyncio.sleep(0.05)
            return _reset(request)
        request.transport.close()
    return web.Response()


def main() -> None:
    """Serve the sample world until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.sample", description="A small Bluesky on localhost.")
    parser.add_argument("--seed", type=int, default=1, help="which world (default: 1)")
    parser.add_argument("--day", type=int, default=1, help="which evening of it, from 1 on (default: 1)")
    parser.add_argument("--members", type=int, help="serve a bulk world of so many members, for benchmarks")
    parser.add_argument("--posts-per-member", type=int, default=5000, help="items of each (default: 5000)")
    parser.add_argument("--port", type=int, default=8787, help="where to listen; 0 takes a free port (default: 8787)")
    args = parser.parse_args()
    if args.day < 1:
        parser.error(f"--day {args.day}: the sample world can be looked at from day 1 on")
    world: World = (
        BulkWorld(args.seed, members=args.members, posts_per_member=args.posts_per_member)
        if args.members
        else World(args.seed)
    )
    try:
        with SampleServer(world, args.day, port=args.port) as server, contextlib.suppress(KeyboardInterrupt):
            print(f"The sample network, day {args.day}, is at {server.url}", flush=True)
            for pack in world.packs:
                print(f"  {pack.name}: {pack.uri}")
                print(f"    {server.url}/xrpc/app.bsky.graph.getStarterPack?starterPack={pack.uri}")
            print("Ctrl-C ends it.", flush=True)
            threading.Event().wait()
    except OSError as error:
        parser.exit(
            1, f"Cannot listen on port {args.port}: {error.strerror}. Choose another with --port, or --port 0.\n"
        )
