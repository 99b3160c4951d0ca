"""A server on this machine, for as long as a test needs one."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self


class QuietHandler(BaseHTTPRequestHandler):
    """Keeps connections open, as services do, and prints nothing."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        """Say nothing of a request."""


class ManyAtOnce(ThreadingHTTPServer):
    """Has a thread for each connection, and lets many wait."""

    daemon_threads = True
    request_queue_size = 64


class LocalServer:
    """Serves while it is entered.

    Args:
        handler: Answers.
        server: Hands connections to it.
    """

    def __init__(self, handler: type[BaseHTTPRequestHandler], server: type[ManyAtOnce] = ManyAtOnce) -> None:
        self._server = server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
