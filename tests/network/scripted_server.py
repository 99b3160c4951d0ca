"""A real HTTP server on localhost that answers, or fails to, as a test tells it."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType


@dataclass(frozen=True)
class Asked:
    """A request, as it came in."""

    method: str
    path: str
    params: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def nsid(self) -> str:
        return self.path.removeprefix("/xrpc/")


@dataclass(frozen=True)
class Reply:
    """An answer, or a failure to give one.

    Attributes:
        delay: Seconds before the first byte.
        cut_after: Close the connection after so many bytes of the body.
        is_reset: Reset the connection instead of answering.
        trickle: Seconds between single bytes of the body, or between `pieces`.
        pieces: Gives a body without a known length in place of `body`, as long as whoever asks reads on.
    """

    body: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0
    cut_after: int | None = None
    is_reset: bool = False
    trickle: float = 0
    pieces: Callable[[], Iterator[bytes]] | None = None


def json_reply(content: Any, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(json.dumps(content).encode(), status, {"Content-Type": "application/json", **named})


def error_reply(status: int, error: str, message: str = "", **headers: str) -> Reply:
    return json_reply({"error": error, "message": message}, status, **headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of who hangs up."""


class ScriptedServer:
    """Answers each request with what `answer` returns for it; `asked` holds all requests."""

    def __init__(self, answer: Callable[[Asked], Reply] | None = None) -> None:
        self.answer = answer or (lambda asked: Reply())
        self.asked: list[Asked] = []
        script = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def do_GET(self) -> None:
                script._handle(self)

            def do_POST(self) -> None:
                script._handle(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.host}"

    def answer_in_turn(self, *replies: Reply) -> None:
        """Give these answers, one a request; the last one from then on."""
        left = list(replies)
        lock = threading.Lock()

        def answer(asked: Asked) -> Reply:
            with lock:
                return left.pop(0) if len(left) > 1 else left[0]

        self.answer = answer

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        asked = Asked(handler.command, parts.path, parse_qs(parts.query), headers, body, time.monotonic())
        self.asked.append(asked)
        reply = self.answer(asked)
        time.sleep(reply.delay)
        if reply.is_reset:
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
            handler.close_connection = True
            return
        try:
            self._send(handler, reply)
        except OSError:
            handler.close_connection = True

    @staticmethod
    def _send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        # The server's own Date is this machine's.
        (handler.send_response_only if "Date" in reply.headers else handler.send_response)(reply.status)
        for name, value in reply.headers.items():
            handler.send_header(name, value)
        if reply.pieces is not None:
            handler.close_connection = True
        elif "Transfer-Encoding" not in reply.headers:
            handler.send_header("Content-Length", str(len(reply.body)))
        handler.end_headers()
        if reply.pieces is not None:
            for piece in reply.pieces():
                handler.wfile.write(piece)
                time.sleep(reply.trickle)
        elif reply.trickle:
            for byte in reply.body:
                handler.wfile.write(bytes([byte]))
                handler.wfile.flush()
                time.sleep(reply.trickle)
        elif reply.cut_after is not None:
            handler.wfile.write(reply.body[: reply.cut_after])
            handler.wfile.flush()
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
        else:
            handler.wfile.write(reply.body)
