"""A proxy in front of a bucket's server that fails at chosen requests, as networks and buckets do."""

from __future__ import annotations

import http.client
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

from tests.local_server import LocalServer, ManyAtOnce, QuietHandler

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

Kind = Literal["lost", "403", "429", "500", "503", "stall", "reset"]
KINDS: Final[tuple[Kind, ...]] = ("lost", "403", "429", "500", "503", "stall", "reset")

_CODES: Final = {
    "403": "AccessDenied",
    "429": "TooManyRequests",
    "500": "InternalError",
    "503": "SlowDown",
}
_HOP_BY_HOP: Final = {"connection", "keep-alive", "transfer-encoding", "date", "server", "expect"}


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and when.

    Attributes:
        kind: `lost`: the server did what it was asked, and its answer is lost. A number is an answer's status. `stall`:
            no answer ever comes. `reset`: the connection is reset before the server is asked.
        request: The number of the request, from 1.
        is_lasting: Whether all later requests fail in the same way.
        path: Only requests whose path holds this fail or are counted.
    """

    kind: Kind
    request: int
    is_lasting: bool = False
    path: str = ""

    def __str__(self) -> str:
        """Name it, as a row of the table."""
        return f"{self.kind} {'from' if self.is_lasting else 'at'} {self.request}"


class FaultingProxy(LocalServer):
    """A bucket's server, as somebody sees it over a bad network.

    It passes the header `Host` on as it came, which is signed.

    Attributes:
        requests: What it was asked since the last `fail`, in order: method, path, and the query's decisive part.
    """

    def __init__(self, endpoint: str) -> None:
        self.requests: list[str] = []
        self._server_at = urlsplit(endpoint).netloc
        self._path = urlsplit(endpoint).path
        self._fault: Fault | None = None
        self._counted = 0
        self._is_over = threading.Event()
        self._lock = threading.Lock()
        proxy = self

        class Handler(QuietHandler):
            onward: http.client.HTTPConnection | None = None

            def handle_one_request(self) -> None:
                with suppress(ConnectionError):
                    super().handle_one_request()

            def finish(self) -> None:
                if self.onward:
                    self.onward.close()
                with suppress(OSError):
                    super().finish()

            def answer(self) -> None:
                proxy._answer(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - as the base class wants them

        class Server(ManyAtOnce):
            def handle_error(self, *_: object) -> None:
                pass

        super().__init__(Handler, Server)

    @property
    def endpoint(self) -> str:
        """What stands for the server's."""
        return f"{self.url}{self._path}"

    def __exit__(self, *_: object) -> None:
        self.heal()
        super().__exit__()

    def fail(self, fault: Fault | None) -> None:
        """Begin to count anew, and fail so."""
        self.heal()
        with self._lock:
            self._fault, self._counted, self.requests = fault, 0, []
            self._is_over = threading.Event()

    def heal(self) -> None:
        """Fail no more; what stalls ends."""
        with self._lock:
            self._fault = None
            self._is_over.set()

    @property
    def has_failed(self) -> bool:
        """Whether the request that is to fail has come."""
        return self._fault is not None and self._counted >= self._fault.request

    def _fault_now(self, handler: BaseHTTPRequestHandler) -> Kind | None:
        with self._lock:
            self.requests.append(_named(handler, self._path))
            fault = self._fault
            if fault is None or fault.path not in handler.path:
                return None
            self._counted += 1
            is_now = self._counted >= fault.request if fault.is_lasting else self._counted == fault.request
            return fault.kind if is_now else None

    def _answer(self, handler: Any) -> None:
        kind, is_over = self._fault_now(handler), self._is_over
        body = b"".join(_body(handler))
        if kind == "stall":
            is_over.wait()
        if kind in {"stall", "reset"}:
            _reset(handler)
        elif kind in _CODES:
            _refuse(handler, int(kind), _CODES[kind])
        else:
            status, headers, content = self._ask(handler, body)
            if kind == "lost":
                _reset(handler)
            else:
                _pass_on(handler, status, headers, content)

    def _ask(self, handler: Any, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        if handler.onward is None:
            handler.onward = http.client.HTTPConnection(self._server_at, timeout=60)
        onward: http.client.HTTPConnection = handler.onward
        onward.putrequest(handler.command, handler.path, skip_host=True, skip_accept_encoding=True)
        for name, value in handler.headers.items():
            if name.lower() not in _HOP_BY_HOP:
                onward.putheader(name, value)
        if "Transfer-Encoding" in handler.headers:
            onward.putheader("Content-Length", str(len(body)))
        onward.endheaders(body or None)
        answer = onward.getresponse()
        return answer.status, answer.getheaders(), answer.read()


def _named(handler: BaseHTTPRequestHandler, root: str) -> str:
    parts = urlsplit(handler.path)
    query = parse_qs(parts.query, keep_blank_values=True)
    asked = [name for name in ("uploads", "uploadId", "delete", "list-type") if name in query]
    prefix = query.get("prefix", [""])[0]
    return " ".join(filter(None, [handler.command, parts.path.removeprefix(root), *asked, prefix]))


def _body(handler: BaseHTTPRequestHandler) -> Iterator[bytes]:
    if handler.headers.get("Transfer-Encoding", "").lower() == "chunked":
        while size := int(handler.rfile.readline().split(b";")[0], 16):
            yield handler.rfile.read(size)
            handler.rfile.readline()
        handler.rfile.readline()
    else:
        yield handler.rfile.read(int(handler.headers.get("Content-Length") or 0))


def _reset(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True
    with suppress(OSError):
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.connection.close()


def _refuse(handler: BaseHTTPRequestHandler, status: int, code: str) -> None:
    content = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>a fault of the table</Message></Error>"
    _pass_on(handler, status, [("Content-Type", "application/xml")], content.encode())


def _pass_on(handler: BaseHTTPRequestHandler, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
    is_head = handler.command == "HEAD"
    names = {name.lower() for name, _ in headers}
    handler.send_response_only(status)
    for name, value in headers:
        if name.lower() not in _HOP_BY_HOP and (name.lower() != "content-length" or is_head):
            handler.send_header(name, value)
    if not is_head and status != 204:
        handler.send_header("Content-Length", str(len(content)))
    elif is_head and "content-length" not in names:
        handler.send_header("Content-Length", "0")
    handler.end_headers()
    if not is_head:
        handler.wfile.write(content)
